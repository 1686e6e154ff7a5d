-- Counts those nodes as dead that have no lease, so that their entries are taken out.
--
-- KEYS  [1] the living   [2] the dead (see renew.lua)
-- ARGV  nodes that have entries
local now = redis.call('TIME')[1] * 1000
for _, node in ipairs(ARGV) do
  if not redis.call('ZSCORE', KEYS[1], node) then
    redis.call('ZADD', KEYS[2], 'NX', now, node)
  end
end
return 1
