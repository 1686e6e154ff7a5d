-- Returns sites of a partition that wait for somebody to take them.
--
-- KEYS  [1] sites with work, by when to look, in milliseconds
-- ARGV  [1] how many at most
local time = redis.call('TIME')
return redis.call('ZRANGEBYSCORE', KEYS[1], 0, time[1] * 1000 + math.floor(time[2] / 1000), 'LIMIT', 0, ARGV[1])
