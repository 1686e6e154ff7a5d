-- Gives a site back after it was told, or was not.
--
-- KEYS  as in add.lua
-- ARGV  [1] site   [2] token   [3] ok, retry or gone   [4] the place of the last fact   [5] ms until the next attempt
--       [6] what went wrong   [7] config   [8] ms until a batch closes
-- Returns milliseconds until it is worth to take, -1 if nobody need, and the number of facts dropped.
local TTL, LONG = 90000, 2592000 -- 25 hours, 30 days
local facts, states, work = KEYS[1], KEYS[2], KEYS[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', work, 'token') ~= ARGV[2] then
  return { -1, 0 }
end
redis.call('HDEL', work, 'token', 'until')
local isPaused = redis.call('SISMEMBER', KEYS[6], ARGV[1]) == 1

if ARGV[3] == 'gone' then
  local dropped = redis.call('XLEN', facts)
  redis.call('DEL', facts, states, work)
  redis.call('HSET', work, 'gone', ARGV[7], 'error', ARGV[6], 'failed', now)
  redis.call('EXPIRE', work, LONG)
  redis.call('ZREM', KEYS[5], ARGV[1])
  return { -1, dropped }
elseif ARGV[3] == 'retry' then
  redis.call('HINCRBY', work, 'attempt', 1)
  redis.call('HSET', work, 'next', now + ARGV[5], 'error', ARGV[6], 'failed', now)
  if isPaused then
    return { -1, 0 }
  end
  redis.call('ZADD', KEYS[5], now + ARGV[5], ARGV[1])
  redis.call('EXPIRE', KEYS[5], TTL)
  return { tonumber(ARGV[5]), 0 }
end

for _, entry in ipairs(redis.call('XRANGE', facts, '-', ARGV[4])) do
  local id, state = entry[1], entry[2][4]
  redis.call('XDEL', facts, id)
  if state ~= '' and redis.call('HGET', states, state) == id then
    redis.call('HDEL', states, state)
  end
end
redis.call('HDEL', work, 'id', 'last', 'attempt', 'next', 'error', 'failed')
local first = redis.call('XRANGE', facts, '-', '+', 'COUNT', 1)[1]
if not first or isPaused then
  redis.call('ZREM', KEYS[5], ARGV[1])
  return { -1, 0 }
end
local wait = math.max(0, tonumber(first[1]:match('^%d+')) + ARGV[8] - now)
if redis.call('XLEN', facts) >= 100 then
  wait = 0
end
redis.call('ZADD', KEYS[5], now + wait, ARGV[1])
redis.call('EXPIRE', KEYS[5], TTL)
return { wait, 0 }
