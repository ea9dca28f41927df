"""The limits that processes share, as Valkey scripts: on the server's clock only, all or nothing, money in millionths of a dollar.

A limit a minute is one number, the moment at which its bucket is full again (GCRA): a minute's worth may come at once, then it drips.
A place is a lease: who is killed gives it back by its end. ``spent`` is the larger of what was counted here and what the database says.
"""

from __future__ import annotations

ADMIT = """
local rpm, tpm, leases, held, spent = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local per_minute, tokens_per_minute, tokens, places = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local id, lease, hard, known, most, keep = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local minute = 60000000

local function bucket(key, limit, cost)
  if limit == 0 then return {wait = 0, left = 0, full = 0} end
  local step = minute / limit
  local at = math.max(tonumber(redis.call('GET', key)) or now, now)
  local new = at + step * cost
  local wait = new - now - minute
  if wait > 0.5 then return {wait = wait, left = math.floor((now + minute - at) / step + 1e-6), full = at - now} end
  return {wait = 0, left = math.floor((now + minute - new) / step + 1e-6), full = new - now, at = new, key = key}
end

for _, dead in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now)) do
  redis.call('ZREM', leases, dead)
  redis.call('HDEL', held, dead)
end
local requests, text = bucket(rpm, per_minute, 1), bucket(tpm, tokens_per_minute, tokens)
local total = known
if hard >= 0 or known >= 0 then
  total = math.max(tonumber(redis.call('GET', spent)) or 0, known)
  redis.call('SET', spent, string.format('%.0f', total), 'PX', keep)
  for _, each in ipairs(redis.call('HVALS', held)) do total = total + tonumber(each) end
end
local refused, wait = '', 0
if hard >= 0 and most > 0 and total >= hard then refused = 'budget'
elseif requests.wait > 0 then refused, wait = 'requests', requests.wait
elseif text.wait > 0 then refused, wait = 'tokens', text.wait
elseif places > 0 and redis.call('ZCARD', leases) >= places then refused = 'concurrency' end
if refused == '' then
  for _, each in ipairs({requests, text}) do
    if each.key then redis.call('SET', each.key, string.format('%.0f', each.at), 'PX', math.ceil(each.full / 1000) + 1000) end
  end
  if places > 0 or hard >= 0 then
    redis.call('ZADD', leases, now + lease * 1000, id)
    redis.call('PEXPIRE', leases, lease * 2)
    if most > 0 then
      redis.call('HSET', held, id, string.format('%.0f', most))
      redis.call('PEXPIRE', held, lease * 2)
    end
  end
end
return {refused, string.format('%.0f', wait), requests.left, string.format('%.0f', requests.full), text.left,
  string.format('%.0f', text.full), string.format('%.0f', total)}
"""
"""KEYS requests, tokens, leases, held, spent. ARGV requests and tokens a minute, tokens wanted, places, id, lease (ms), hard budget (-1 =
none), spent as the database says (-1 = no budget at all), the most that this call can cost, how long ``spent`` is kept (ms)."""

RELEASE = """
local tpm, leases, held, spent = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, limit, unused, cost, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
if redis.call('ZREM', leases, id) == 0 and ARGV[6] == '1' then return end
redis.call('HDEL', held, id)
if limit > 0 and unused ~= 0 then
  local clock = redis.call('TIME')
  local now = clock[1] * 1000000 + clock[2]
  local at = (tonumber(redis.call('GET', tpm)) or now) - unused * 60000000 / limit
  if at > now then
    redis.call('SET', tpm, string.format('%.0f', at), 'PX', math.ceil((at - now) / 1000) + 1000)
  else
    redis.call('DEL', tpm)
  end
end
if cost ~= '0' then
  redis.call('INCRBY', spent, cost)
  redis.call('PEXPIRE', spent, keep)
end
"""
"""KEYS tokens, leases, held, spent. ARGV id, tokens a minute, tokens that were not used (below 0: more than thought), cost, keep (ms), 1 =
there is a lease: where it is gone this was said already (a question whose answer was late is asked again), or Valkey has forgotten."""

RENEW = """
local clock = redis.call('TIME')
local until_ = clock[1] * 1000000 + clock[2] + ARGV[1] * 1000
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', until_, ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1] * 2)
redis.call('PEXPIRE', KEYS[2], ARGV[1] * 2)
"""
"""KEYS leases, held. ARGV lease (ms), ids that are still under way."""
