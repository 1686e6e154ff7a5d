-- Tells what one node uses of a site's limits, and returns what the others do.
--
-- KEYS[1]  the site's hash: node → "milliseconds usage"
-- ARGV[1]  the node
-- ARGV[2]  what it uses
-- ARGV[3]  milliseconds that what a node told counts
-- Returns  pairs of node and usage, without those of ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local told = redis.call('HGETALL', KEYS[1])
local others = {}
for i = 1, #told, 2 do
  local at, usage = told[i + 1]:match('^(%d+) (.*)$')
  if told[i] ~= ARGV[1] then
    if now - at <= tonumber(ARGV[3]) then
      others[#others + 1] = { told[i], usage }
    else
      redis.call('HDEL', KEYS[1], told[i])
    end
  end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', now) .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], 2 * ARGV[3])
return others
