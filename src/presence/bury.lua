-- Forgets a node whose entries are all taken out.
--
-- KEYS  [1] the living   [2] the dead (see renew.lua)
-- ARGV  [1] the node
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
