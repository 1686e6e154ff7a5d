-- Remembers what an origin takes back from a user, and tells every node that follows the user's chain, atomically.
--
-- KEYS  [1] the user's revocations: a hash {thread or "*": seconds}   [2] the channel of the user's chain
-- ARGV  [1] PUBLISH, or SPUBLISH in a cluster   [2] the name in the hash, or "" to remember nothing
--       [3] "1" to forget the name, "0" to remember it   [4] the notice, JSON
local TTL = 86520 -- as in notice.ts

local publish, name, lifted, notice = unpack(ARGV)
local now = tonumber(redis.call('TIME')[1])
if name ~= '' then
  if lifted == '1' then
    redis.call('HDEL', KEYS[1], name)
  else
    local known = redis.call('HGETALL', KEYS[1])
    for i = 1, #known, 2 do
      if tonumber(known[i + 1]) + TTL < now then
        redis.call('HDEL', KEYS[1], known[i])
      end
    end
    redis.call('HSET', KEYS[1], name, now)
    redis.call('EXPIRE', KEYS[1], TTL)
  end
end
redis.call(publish, KEYS[2], '1n' .. string.format('%016.0f', now) .. '000' .. notice)
return 1
