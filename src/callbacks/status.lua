-- Returns how a site's queue stands, after letting it be tried at once if that is wanted.
--
-- KEYS  as in add.lua
-- ARGV  [1] site   [2] retry or ""
-- Returns now, the number of facts, the first one's place, and the site's work.
local facts, work = KEYS[1], KEYS[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local first = redis.call('XRANGE', facts, '-', '+', 'COUNT', 1)[1]
if ARGV[2] == 'retry' then
  redis.call('HDEL', work, 'next', 'gone')
  if first then
    redis.call('ZADD', KEYS[5], now, ARGV[1])
  end
end
return { now, redis.call('XLEN', facts), first and first[1] or '', redis.call('HGETALL', work) }
