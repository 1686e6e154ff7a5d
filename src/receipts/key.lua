-- Returns the key that the cluster seals receipts with, and makes it if there is none.
--
-- KEYS  [1] the key
-- ARGV  [1] a new one, to be used if there is none
local TTL = 2592000 -- 30 days after the last use
redis.call('SET', KEYS[1], ARGV[1], 'NX')
redis.call('EXPIRE', KEYS[1], TTL)
return redis.call('GET', KEYS[1])
