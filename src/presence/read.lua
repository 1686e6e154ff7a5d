-- Reads who is at topics of one partition.
--
-- KEYS  [1] the partition's era   [2…] presences (see set.lua)
-- ARGV  [1] the number of users up to which they are named
-- Returns for each its version, its number of users and, if they are named, the fields of the hash.
-- Fails with NOERA if the partition has none.
local era = redis.call('HGET', KEYS[1], 'since')
if not era then
  return redis.error_reply('NOERA ' .. KEYS[1])
end
local answers = {}
for i = 2, #KEYS do
  local known = redis.call('HMGET', KEYS[i], 'e', 'v', 'n')
  if known[1] ~= era then
    answers[i - 1] = { '0', '0', {} }
  elseif (tonumber(known[3]) or 0) > tonumber(ARGV[1]) then
    answers[i - 1] = { known[2], known[3] }
  else
    answers[i - 1] = { known[2] or '0', known[3] or '0', redis.call('HGETALL', KEYS[i]) }
  end
end
return answers
