-- Returns sites of a partition that wait for somebody to take them.
--
-- KEYS  [1] sites with work, by when to look, in milliseconds   [2] sites that are paused: kept for as long as nodes look, or
--       they would go on by themselves one day
-- ARGV  [1] how many at most
redis.call('EXPIRE', KEYS[2], 2592000) -- 30 days
local time = redis.call('TIME')
return redis.call('ZRANGEBYSCORE', KEYS[1], 0, time[1] * 1000 + math.floor(time[2] / 1000), 'LIMIT', 0, ARGV[1])
