-- A trial's end. ARGV[9…]: token, version of the state that granted it, outcome, sample error. Fenced: a lease whose time is over,
-- or of another version, says nothing any more. "excluded" only gives the lease back: also where its owner never heard that it was granted.
create()
redis.call('ZREMRANGEBYSCORE', LEASES, '-inf', whole(now))
if ARGV[11] == 'excluded' then redis.call('ZREM', LEASES, ARGV[9]) end
if ARGV[11] == 'excluded' or s.st ~= 'half_open' or tonumber(ARGV[10]) ~= s.ver or redis.call('ZREM', LEASES, ARGV[9]) == 0 then
  if created then save() end
  return standing()
end
local field = ARGV[11] == 'failure' and 'bad' or ARGV[11]
s[field] = s[field] + 1
local trials = s.ok + s.bad + s.slow
local failed = s.bad > 0 and s.bad >= settings.failure_rate * settings.permits
local late = limits_slow and s.slow > 0 and s.slow >= settings.slow_rate * settings.permits
if failed or late then
  local why = {rule = 'trials', sentence = whole(failed and s.bad or s.slow) .. ' of ' .. whole(trials) .. ' trial calls ' .. (failed and 'failed.' or 'were slow.'),
               calls = trials, failures = s.bad, slow = s.slow, rate = s.bad / trials, sources = {source}}
  if ARGV[12] ~= '' then why.error = ARGV[12] end
  open('half_open', why)
elseif trials >= settings.permits then
  close('half_open', {rule = 'trials', sentence = whole(trials) .. ' trial calls ended well enough.'}, #settings.ramp > 0 and settings.ramp_seconds > 0)
end
save()
return standing()
