-- Renews a node's lease, and hands out the dead: who takes their entries out is asked one at a time.
--
-- KEYS  [1] the living: a sorted set of nodes by the end of their leases   [2] the dead, by when the next may begin to
--       take their entries out
-- ARGV  [1] the node   [2] the lease in ms   [3] "1" if the node has had a lease before   [4] ms that taking out may take
-- Returns 1 if the lease was lost (then the node counts as dead, and needs another name) or 0, then nodes to take out.
local TTL = 86400

local node, lease, had_one, patience = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lost = had_one and not redis.call('ZSCORE', KEYS[1], node)
if lost then
  redis.call('ZADD', KEYS[2], now, node)
else
  redis.call('ZADD', KEYS[1], now + lease, node)
end
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('ZREM', KEYS[1], dead)
  redis.call('ZADD', KEYS[2], now, dead)
end
local answers = { lost and 1 or 0 }
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
  redis.call('ZADD', KEYS[2], now + patience, dead)
  answers[#answers + 1] = dead
end
redis.call('EXPIRE', KEYS[1], TTL)
redis.call('EXPIRE', KEYS[2], TTL)
return answers
