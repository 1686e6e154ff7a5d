-- Reads chains' heads together with the era that they belong to: one without the other would say nothing.
--
-- KEYS  [1] the partition's era: a hash {run_id, since}   [2…] heads
-- Returns the era's start, then each head; a chain without one has the era's start.
-- Fails with NOERA if the partition has none.
local since = tonumber(redis.call('HGET', KEYS[1], 'since'))
if not since then
  return redis.error_reply('NOERA ' .. KEYS[1])
end
local answers = { since }
for i = 2, #KEYS do
  answers[i] = tonumber(redis.call('GET', KEYS[i])) or since
end
return answers
