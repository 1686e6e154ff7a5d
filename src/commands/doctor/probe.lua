-- Tries every command that the relay's scripts use, each on a key of its own kind, so that a user who lacks the right to
-- one is found by the doctor and not by the first event that needs it (test/commands/doctor-redis.test.ts holds this to
-- the other scripts).
--
-- KEYS[1..5]: throw-away names for a string, a hash, a set, a sorted set and a stream, of one slot
-- KEYS[6]:    a channel
-- ARGV[1]:    PUBLISH or SPUBLISH
-- returns:    what was refused, each as 'COMMAND: why'

local refused = {}
local function try(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then refused[#refused + 1] = select(1, ...) .. ': ' .. answer.err end
  return answer
end

local text, hash, set, sorted, stream = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local now = tonumber(try('TIME')[1]) or 0
try('SET', text, '1', 'EX', 60)
try('GET', text)
try('PEXPIRE', text, 60000)
try('EXPIREAT', text, now + 60)
try('HSET', hash, 'a', '1', 'b', '2')
try('EXPIRE', hash, 60)
try('HINCRBY', hash, 'a', 1)
try('HGET', hash, 'a')
try('HMGET', hash, 'a', 'b')
try('HGETALL', hash)
try('HSCAN', hash, '0')
try('HDEL', hash, 'a')
try('SADD', set, 'a', 'b')
try('SISMEMBER', set, 'a')
try('SMEMBERS', set)
try('SREM', set, 'a', 'b')
try('ZADD', sorted, 1, 'a', 2, 'b')
try('ZSCORE', sorted, 'a')
try('ZRANGEBYSCORE', sorted, '-inf', '+inf')
try('ZREVRANGE', sorted, 0, -1)
try('ZREM', sorted, 'a')
try('ZREMRANGEBYSCORE', sorted, '-inf', '+inf')
try('XADD', stream, '*', 'a', '1')
try('XLEN', stream)
try('XRANGE', stream, '-', '+')
try('XDEL', stream, '0-1')
try('XTRIM', stream, 'MAXLEN', 0)
try('DEL', text, hash, set, sorted, stream)
try(ARGV[1], KEYS[6], '')
return refused
