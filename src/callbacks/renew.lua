-- Keeps a site that was taken.
--
-- KEYS  [1] the site's work (see take.lua)   [2] sites of the partition with work
-- ARGV  [1] site   [2] token   [3] ms of the lease
local TTL = 90000 -- 25 hours
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', KEYS[1], 'token') == ARGV[2] then
  redis.call('HSET', KEYS[1], 'until', now + ARGV[3])
  redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
  redis.call('EXPIRE', KEYS[2], TTL)
end
return 1
