-- Does with a site's queue what is wanted, and returns how it stands.
--
-- KEYS  as in add.lua
-- ARGV  [1] site   [2] retry, pause, resume, drop, or ""
-- Returns now; the number of facts and the first one's place, before they are dropped; 1 if the site is paused; its work.
local TTL, LONG = 90000, 2592000 -- 25 hours; 30 days, and again as long as nodes look (due.lua)
local facts, states, work, sites, paused = KEYS[1], KEYS[2], KEYS[4], KEYS[5], KEYS[6]
local site, deed = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local depth = redis.call('XLEN', facts)
local first = redis.call('XRANGE', facts, '-', '+', 'COUNT', 1)[1]

if deed == 'pause' then
  redis.call('SADD', paused, site)
  redis.call('EXPIRE', paused, LONG)
  redis.call('ZREM', sites, site)
elseif deed == 'resume' then
  redis.call('SREM', paused, site)
  redis.call('HDEL', work, 'next')
elseif deed == 'retry' then
  redis.call('HDEL', work, 'next', 'gone')
elseif deed == 'drop' then
  -- Trimmed and not deleted: the places of facts to come must lie after that of a batch which is under way.
  redis.call('XTRIM', facts, 'MAXLEN', 0)
  redis.call('DEL', states)
  redis.call('HDEL', work, 'id', 'last', 'attempt', 'next')
  redis.call('ZREM', sites, site)
end
local isPaused = redis.call('SISMEMBER', paused, site)
if first and isPaused == 0 and (deed == 'resume' or deed == 'retry') then
  redis.call('ZADD', sites, now, site)
  redis.call('EXPIRE', sites, TTL)
end
return { now, depth, first and first[1] or '', isPaused, redis.call('HGETALL', work) }
