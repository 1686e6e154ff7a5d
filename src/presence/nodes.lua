-- Returns the nodes that have entries in a partition.
--
-- KEYS  [1] the nodes that have entries
return redis.call('SMEMBERS', KEYS[1])
