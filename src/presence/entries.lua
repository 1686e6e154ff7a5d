-- Returns some of a node's entries in a partition, as "TOPIC USER" (see set.lua).
--
-- KEYS  [1] the node's entries
local fields = redis.call('HSCAN', KEYS[1], '0', 'COUNT', 500)[2]
local entries = {}
for i = 1, #fields, 2 do
  if fields[i] ~= 'e' then
    entries[#entries + 1] = fields[i]
  end
end
return entries
