-- The service asked for a pause. ARGV[9]: ms. A longer one that runs already is never made shorter; it counts as no failure.
create()
local before = s.thr
s.thr = math.max(s.thr, now + tonumber(ARGV[9]))
if before <= now then
  log(s.st, s.st, {rule = 'throttle', sentence = 'The service asked for a pause.', seconds = tonumber(ARGV[9]) / 1000})
elseif s.thr > before then
  redis.call('PUBLISH', channel, name)
end
save()
return standing()
