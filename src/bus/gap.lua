-- Tells every node that follows one of a partition's chains that its clients are to ask. The chains get a new head, so
-- that whoever is away, and comes back with the old one, is told to ask as well.
--
-- KEYS  [1] the partition's era: a hash {run_id, since}   then for each chain its head and its channel
-- ARGV  [1] PUBLISH, or SPUBLISH in a cluster
-- Fails with NOERA if the partition has none.
local HEAD_TTL = 604800 -- 7 days, as in protocol/chain.ts

local since = tonumber(redis.call('HGET', KEYS[1], 'since'))
if not since then
  return redis.error_reply('NOERA ' .. KEYS[1])
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for i = 2, #KEYS, 2 do
  local stamp = math.max(now, (tonumber(redis.call('GET', KEYS[i])) or 0) + 1, since + 1)
  redis.call('SET', KEYS[i], string.format('%.0f', stamp), 'EX', HEAD_TTL)
  redis.call(ARGV[1], KEYS[i + 1], '1g' .. string.format('%016.0f', stamp) .. '000')
end
return 1
