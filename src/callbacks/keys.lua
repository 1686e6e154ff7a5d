-- Returns what the cluster signs callbacks with, after taking down that it is in use.
--
-- KEYS  [1] the key that was made by a node: "public private"   [2] public keys by when they were last in use
-- ARGV  [1] the public key that the node was given, or "" for the one in KEYS[1]   [2] what to put there if there is none
--       [3] now, in seconds
-- Returns KEYS[1] or "", then the public keys, the newest first.
local KEEP = 604800 -- 7 days after the last use (CONTRACT 36)
local TTL = 2592000 -- 30 days: the made one is to outlive a long silence

local public, made = ARGV[1], ''
local now = tonumber(ARGV[3])
if public == '' then
  redis.call('SET', KEYS[1], ARGV[2], 'NX')
  redis.call('EXPIRE', KEYS[1], TTL)
  made = redis.call('GET', KEYS[1])
  public = string.match(made, '^(%S+)')
end
redis.call('ZADD', KEYS[2], now, public)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - KEEP)
redis.call('EXPIRE', KEYS[2], KEEP)
return { made, unpack(redis.call('ZREVRANGE', KEYS[2], 0, -1)) }
