-- Reads chains' heads together with the era that they belong to, since one without the other would say nothing, and what
-- was taken back from users, since who joins needs both.
--
-- KEYS  [1] the partition's era: a hash {run_id, since}   [2…] heads   then users' revocations
-- ARGV  [1] the number of heads
-- Returns the era's start, then each head (a chain without one of this era has its start), then each user's revocations: names
-- and seconds by turns.
-- Fails with NOERA if the partition has none.
local since = tonumber(redis.call('HGET', KEYS[1], 'since'))
if not since then
  return redis.error_reply('NOERA ' .. KEYS[1])
end
local last_head = tonumber(ARGV[1]) + 1
local answers = { since }
for i = 2, last_head do
  answers[i] = math.max(tonumber(redis.call('GET', KEYS[i])) or 0, since)
end
for i = last_head + 1, #KEYS do
  answers[i] = redis.call('HGETALL', KEYS[i])
end
return answers
