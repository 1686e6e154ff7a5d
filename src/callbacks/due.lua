-- Returns sites of a partition that wait for somebody to take them.
--
-- KEYS  [1] sites with work, by when to look, in milliseconds   [2] sites that are paused
-- ARGV  [1] how many at most   [2] 1 to keep what is paused so: or it would go on by itself one day
if ARGV[2] == '1' then
  redis.call('EXPIRE', KEYS[2], 2592000) -- 30 days
end
local time = redis.call('TIME')
return redis.call('ZRANGEBYSCORE', KEYS[1], 0, time[1] * 1000 + math.floor(time[2] / 1000), 'LIMIT', 0, ARGV[1])
