-- What a process counted since its last report. ARGV[9…]: ok, bad, slow, failures since the last success, 1 = no success, sample error.
-- Counts of another version of the state are dropped.
create()
local ok, bad, slow, tail = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local counting = mode == '' or mode == 'shadow'
local mine = created or known == 0 or known == s.ver
if not counting or not mine or s.st ~= 'closed' or ok + bad + slow == 0 then
  if created then save() end
  return standing()
end

s.cn = s.cn + ok + bad + slow
local n, buckets = bucket()
local key = windows .. whole(n)
if ok > 0 then redis.call('HINCRBY', key, 'ok', ok) end
if bad > 0 then redis.call('HINCRBY', key, 'bad', bad) end
if slow > 0 then redis.call('HINCRBY', key, 'slow', slow) end
redis.call('PEXPIRE', key, settings.window_calls > 0 and 3600000 or (buckets + 1) * width())
s.run = ARGV[13] == '1' and s.run + bad or tail

local span = whole(settings.window * 1000)
redis.call('ZADD', SOURCES, whole(now), 'a:' .. source)
if bad > 0 or (limits_slow and slow > 0) then redis.call('ZADD', SOURCES, whole(now), 'f:' .. source) end
redis.call('ZREMRANGEBYSCORE', SOURCES, '-inf', whole(now - span))
redis.call('ZREMRANGEBYRANK', SOURCES, 0, -MOST_SOURCES - 1)
redis.call('PEXPIRE', SOURCES, span)

local sum = count()
local rule, sentence
if settings.consecutive > 0 and s.run >= settings.consecutive then
  rule, sentence = 'consecutive', whole(s.run) .. ' calls failed in a row.'
elseif sum.calls >= settings.minimum_calls then
  if sum.bad >= settings.failure_threshold and sum.bad >= settings.failure_rate * sum.calls then
    rule, sentence = 'failure rate', whole(sum.bad) .. ' of ' .. whole(sum.calls) .. ' calls failed.'
  elseif limits_slow and sum.slow > 0 and sum.slow >= settings.slow_rate * sum.calls then
    rule, sentence = 'slow rate', whole(sum.slow) .. ' of ' .. whole(sum.calls) .. ' calls took ' .. settings.slow_after .. ' s or longer.'
  end
end
if rule then
  local active, failing = 0, {}
  for _, member in ipairs(redis.call('ZRANGE', SOURCES, 0, -1)) do
    if member:sub(1, 2) == 'a:' then active = active + 1 else failing[#failing + 1] = member:sub(3) end
  end
  if active < 2 or #failing >= 2 then
    local why = {rule = rule, sentence = sentence, calls = sum.calls, failures = sum.bad, slow = sum.slow, rate = sum.bad / sum.calls,
                 sources_active = active, sources_failing = #failing, sources = {unpack(failing, 1, math.min(#failing, 10))}}
    if ARGV[14] ~= '' then why.error = ARGV[14] end
    if mode == 'shadow' then
      forget()
      log('shadow', 'shadow', why)
    else
      open('closed', why)
    end
  end
end
save()
return standing()
