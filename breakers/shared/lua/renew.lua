-- Trials that are still under way keep their places. ARGV[9…]: version of the state that granted them; then a token and ms from now, for each.
-- One whose lease ran out meanwhile (its owner was held up, or this server was away) takes its place again where it is free.
create()
if s.st ~= 'half_open' or tonumber(ARGV[9]) ~= s.ver then
  if created then save() end
  return standing()
end
redis.call('ZREMRANGEBYSCORE', LEASES, '-inf', whole(now))
local free = settings.permits - s.ok - s.bad - s.slow - redis.call('ZCARD', LEASES)
for i = 10, #ARGV, 2 do
  local held = redis.call('ZSCORE', LEASES, ARGV[i])
  if held or free > 0 then
    if not held then free = free - 1 end
    lease(ARGV[i], tonumber(ARGV[i + 1]))
  end
end
return standing()
