-- The stored configuration and what a person asked for. ARGV[9…]: version, override or '' ('closed' = close it once), reason. Only a newer
-- version is taken. What a person holds is kept beside the settings, where no other script writes: only a person clears it.
create()
local version, wanted, reason = tonumber(ARGV[9]), ARGV[10], ARGV[11]
if version > cfgv or (version == cfgv and not config[1]) then
  local before, was = mode ~= '' and mode or s.st, held
  cfgv, settings, held = version, cjson.decode(ARGV[4]), wanted == 'closed' and '' or wanted
  redis.call('HSET', CONFIG, 'cfgv', whole(version), 'settings', ARGV[4], 'override', held, 'reason', reason)
  if held == '' then redis.call('PEXPIRE', CONFIG, whole(30 * KEPT)) else redis.call('PERSIST', CONFIG) end
  mode = held == '' and settings.shadow and 'shadow' or held
  if wanted == 'closed' then
    s.thr, s.trips, s.last = 0, 0, 0
    close(before, {rule = 'person', sentence = reason}, false)
  elseif held ~= was then
    forget()  -- what was counted under the other rule says nothing now
    s.ver = s.ver + 1
    log(before, mode ~= '' and mode or s.st, {rule = 'person', sentence = reason})
  else
    redis.call('PUBLISH', channel, name)
  end
  save()
elseif version == cfgv and held == '' then
  redis.call('PEXPIRE', CONFIG, whole(30 * KEPT))
end
return standing()
