-- Tells a user which events another has got, each once, atomically.
--
-- KEYS  [1] the channel of the user's chain, then for each event the set of what was told in its hour
-- ARGV  [1] PUBLISH, or SPUBLISH in a cluster   [2] the frame before the ids   [3] the frame after them
--       then for each event its id, the number that stands for it and its reader in the set, and seconds to keep the set
-- Returns the ids that were told now.
local told = {}
for i = 2, #KEYS do
  local arg = 4 + (i - 2) * 3
  if redis.call('SADD', KEYS[i], ARGV[arg + 1]) == 1 then
    told[#told + 1] = ARGV[arg]
  end
  redis.call('EXPIRE', KEYS[i], ARGV[arg + 2])
end
if #told > 0 then
  local ids = '"' .. table.concat(told, '","') .. '"'
  redis.call(ARGV[1], KEYS[1], '1e0000000000000000000' .. ARGV[2] .. ids .. ARGV[3])
end
return told
