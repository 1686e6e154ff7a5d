-- Returns some of a node's entries in a partition, as "TOPIC USER" (see set.lua). Forgets the node when it has none.
--
-- KEYS  [1] the node's entries   [2] the nodes that have entries
-- ARGV  [1] the node
local fields = redis.call('HSCAN', KEYS[1], '0', 'COUNT', 500)[2]
local entries = {}
for i = 1, #fields, 2 do
  if fields[i] ~= 'e' then
    entries[#entries + 1] = fields[i]
  end
end
if #entries == 0 then
  redis.call('DEL', KEYS[1])
  redis.call('SREM', KEYS[2], ARGV[1])
end
return entries
