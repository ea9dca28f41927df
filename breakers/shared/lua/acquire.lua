-- A trial's lease. ARGV[9…]: token, ms at most. The answer ends with 1 granted, 0 refused, 2 none is needed; and ms until asking again makes
-- sense. A refusal writes nothing, so it prolongs no expiry.
create()
if mode == 'disabled' or mode == 'shadow' then return standing(2, 0) end
if mode == 'forced_open' then return standing(0, 1000) end
if now < s.thr then return standing(0, math.ceil(s.thr - now)) end
if s.st == 'closed' then
  if created then save() end
  return standing(2, 0)
end
if s.st == 'open' then
  if now < s['until'] then return standing(0, math.ceil(s['until'] - now)) end
  forget()
  s.st, s.ver = 'half_open', s.ver + 1
  log('open', 'half_open', {rule = 'time', sentence = 'Its time is over; trial calls go through.'})
  save()
end
redis.call('ZREMRANGEBYSCORE', LEASES, '-inf', whole(now))
local live = redis.call('ZCARD', LEASES)
if live == 0 and s.ok + s.bad + s.slow >= settings.permits then  -- fewer are asked for than when they began: begin anew
  s.ok, s.bad, s.slow = 0, 0, 0
  save()
end
if live + s.ok + s.bad + s.slow >= settings.permits then
  local first = redis.call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')
  return standing(0, first[2] and math.ceil(first[2] - now) or 100)
end
lease(ARGV[9], math.min(tonumber(ARGV[10]), settings.permit_seconds * 1000))
return standing(1, 0)
