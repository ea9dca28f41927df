-- What every script begins with. One breaker a call; all its keys share one hash tag. The server's clock is the only one.
-- KEYS: state, leases, sources, config, log
-- ARGV: name, channel, prefix of the windows' keys, settings (JSON), source, version known to the caller, chance, claim (JSON), …
local STATE, LEASES, SOURCES, CONFIG, LOG = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local name, channel, windows, source = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
local known, chance = tonumber(ARGV[6]), tonumber(ARGV[7])
local KEPT, LOGGED, MOST_SOURCES = 86400000, 10000, 500
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function whole(number) return string.format('%.0f', number) end

local config = redis.call('HMGET', CONFIG, 'cfgv', 'settings', 'override')
local cfgv, held = tonumber(config[1] or 0), config[3] or ''
local settings = cjson.decode(ARGV[4])
if config[2] and cfgv > settings.version then settings = cjson.decode(config[2]) end
local mode = held == '' and settings.shadow and 'shadow' or held
local limits_slow = settings.slow_after ~= nil and settings.slow_after ~= cjson.null

local s = {st = 'closed', ver = 0, born = 0, pv = 0, cv = 0, ['until'] = 0, trips = 0, ramp = 0, thr = 0, run = 0,
           closed = 0, last = 0, ok = 0, bad = 0, slow = 0, cn = 0, why = ''}
local stored = redis.call('HGETALL', STATE)
for i = 1, #stored, 2 do
  local key, value = stored[i], stored[i + 1]
  if key == 'st' or key == 'why' then s[key] = value else s[key] = tonumber(value) end
end
local created = #stored == 0

local function save()
  local flat = {}
  for key, value in pairs(s) do
    flat[#flat + 1] = key
    flat[#flat + 1] = type(value) == 'number' and whole(value) or value
  end
  redis.call('HSET', STATE, unpack(flat))
  redis.call('PEXPIRE', STATE, whole(KEPT + math.max(0, s['until'] - now, s.thr - now)))
end

local function log(before, after, why)
  redis.call('XADD', LOG, 'MAXLEN', '~', LOGGED, '*', 'name', name, 'before', before, 'after', after, 'ver', whole(s.ver),
             'cfgv', whole(math.max(cfgv, settings.version)), 'at', whole(now), 'scope', 'shared', 'source', source, 'why', cjson.encode(why))
  redis.call('PUBLISH', channel, name)
end

-- The window: buckets of a fixed width by its length (so that another length loses nothing), or of a tenth of the calls.
local function width()
  local ms = settings.window * 1000
  if ms <= 2000 then return 100 elseif ms <= 20000 then return 1000 elseif ms <= 200000 then return 10000 end
  return 60000
end
local function bucket()
  if settings.window_calls > 0 then return math.floor(s.cn / math.max(1, math.ceil(settings.window_calls / 10))), 10 end
  return math.floor(now / width()), math.ceil(settings.window * 1000 / width())
end
local function count()
  local last, buckets = bucket()
  local sum = {ok = 0, bad = 0, slow = 0}
  for n = last - buckets + 1, last do
    local got = redis.call('HMGET', windows .. whole(n), 'ok', 'bad', 'slow')
    sum.ok, sum.bad, sum.slow = sum.ok + (got[1] or 0), sum.bad + (got[2] or 0), sum.slow + (got[3] or 0)
  end
  sum.calls = sum.ok + sum.bad + sum.slow
  return sum
end

local function forget()
  local last, buckets = bucket()
  for n = last - buckets + 1, last do redis.call('DEL', windows .. whole(n)) end
  redis.call('DEL', LEASES, SOURCES)
  s.run, s.ok, s.bad, s.slow = 0, 0, 0, 0
end

-- A caller that knew the breaker before this server forgot everything says how it stood: the newest version known counts, until
-- something happens here.
local function rebuild()
  if not (known > s.pv and known < s.born and s.ver == s.cv) then return end
  local claim = cjson.decode(ARGV[8])
  s.pv, s.trips, s.st = known, claim.trips, claim.state == 'closed' and 'closed' or 'open'
  s['until'] = s.st == 'open' and now + claim.remaining or 0
  s.last = claim.remaining
  s.ver = s.ver + 1
  s.cv = s.ver
  if s.st == 'open' then
    s.why = cjson.encode(claim.why)
    log('closed', 'open', {rule = 'rebuilt', sentence = 'The shared state was lost; a process knew that it was open.', trips = s.trips})
  end
  save()
end
local function create()
  if created then s.ver, s.born, s.cv, s.closed = now, now, now, now end
  rebuild()
end

local function open(before, why)
  if before == 'closed' and now - s.closed >= math.max(settings.window * 1000, s.last) then s.trips = 0 end
  local seconds = math.min(settings.timeout_cap, settings.timeout * 2 ^ math.min(s.trips, 30)) * (1 + 0.2 * (2 * chance - 1))
  s.st, s['until'], s.last, s.ramp = 'open', now + seconds * 1000, seconds * 1000, 0
  s.trips, s.ver = s.trips + 1, s.ver + 1
  forget()
  why.seconds, why.trips, why.config_version = seconds, s.trips, math.max(cfgv, settings.version)
  s.why = cjson.encode(why)
  log(before, 'open', why)
end

local function close(before, why, ramp)
  s.st, s['until'], s.closed, s.ramp = 'closed', 0, now, ramp and now or 0
  s.ver = s.ver + 1
  forget()
  s.why = cjson.encode(why)
  log(before, 'closed', why)
end

local function lease(token, ms)
  redis.call('ZADD', LEASES, whole(now + ms), token)
  redis.call('PEXPIRE', LEASES, whole(math.max(ms + 60000, redis.call('PTTL', LEASES))))
end

local function standing(...)
  local counts = count()
  local left = s.st == 'open' and math.max(0, s['until'] - now) or 0
  return {s.st, held, math.floor(s.ver), math.floor(cfgv), math.ceil(left), s.trips, s.ramp > 0 and math.floor(now - s.ramp) or -1,
          math.ceil(math.max(0, s.thr - now)), s.why, counts.ok, counts.bad, counts.slow, ...}
end
