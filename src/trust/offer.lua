-- Keeps the newest licence of a site.
--
-- KEYS  [1] a hash {iat, text}
-- ARGV  [1] when the licence was issued, in seconds   [2] when it expires   [3] its text; "" to ask only
-- Returns the text of a newer one, if there is one.
local issued, expires, text = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local known = redis.call('HMGET', KEYS[1], 'iat', 'text')
if known[1] and tonumber(known[1]) > issued then
  return known[2]
end
if text ~= '' then
  redis.call('HSET', KEYS[1], 'iat', ARGV[1], 'text', text)
  redis.call('EXPIREAT', KEYS[1], expires)
end
return false
