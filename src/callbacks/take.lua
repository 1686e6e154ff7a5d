-- Takes a site, if nobody has it, and returns what it is to be told.
--
-- KEYS  as in add.lua. The site's work is {token, until: who has it, and until when; id, last: the batch that was tried, and
--       the place of its last fact; attempt: failures since the last success; next: when to try again;
--       error, failed: what went wrong, and when; gone: the config that the site does not want to be told by any more}
-- ARGV  [1] site   [2] token   [3] ms of the lease   [4] ms until a batch closes   [5] most facts   [6] most bytes
--       [7] an id   [8] ms that a fact may wait
-- Returns {wait in ms or -1, facts dropped}, then, if it is taken, the batch's id, its last place, failures so far, texts.
local TTL, LONG = 90000, 2592000 -- 25 hours, 30 days
local facts, states, work = KEYS[1], KEYS[2], KEYS[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease, next, id, last, failures, gone =
  unpack(redis.call('HMGET', work, 'until', 'next', 'id', 'last', 'attempt', 'gone'))
if (lease and tonumber(lease) > now) or gone then
  return { -1, 0 }
elseif redis.call('SISMEMBER', KEYS[6], ARGV[1]) == 1 then
  redis.call('ZREM', KEYS[5], ARGV[1])
  return { -1, 0 }
end

local dropped = redis.call('XTRIM', facts, 'MINID', string.format('%.0f', now - ARGV[8]))
if dropped > 0 then
  redis.call('HDEL', work, 'id', 'last')
  id = false
end
if redis.call('XLEN', facts) == 0 then
  redis.call('DEL', states)
  redis.call('HDEL', work, 'id', 'last', 'attempt', 'next')
  redis.call('ZREM', KEYS[5], ARGV[1])
  return { -1, dropped }
end
if next and tonumber(next) > now then
  redis.call('ZADD', KEYS[5], next, ARGV[1])
  redis.call('EXPIRE', KEYS[5], TTL)
  return { tonumber(next) - now, dropped }
end

local most, bytes, texts = tonumber(ARGV[5]), 0, {}
local full = false
for _, entry in ipairs(redis.call('XRANGE', facts, '-', id and last or '+', 'COUNT', most)) do
  local text = entry[2][2]
  bytes = bytes + #text + 1
  if not id then
    if #texts > 0 and bytes > tonumber(ARGV[6]) then
      full = true
      break
    end
    last = entry[1]
  end
  texts[#texts + 1] = text
end
if not id then
  local first = redis.call('XRANGE', facts, '-', '+', 'COUNT', 1)[1][1]
  local closes = tonumber(first:match('^%d+')) + ARGV[4]
  if #texts < most and not full and closes > now then
    redis.call('ZADD', KEYS[5], closes, ARGV[1])
    redis.call('EXPIRE', KEYS[5], TTL)
    return { closes - now, dropped }
  end
  id = ARGV[7]
end
redis.call('HSET', work, 'token', ARGV[2], 'until', now + ARGV[3], 'id', id, 'last', last)
redis.call('EXPIRE', work, LONG)
redis.call('ZADD', KEYS[5], now + ARGV[3], ARGV[1])
redis.call('EXPIRE', KEYS[5], TTL)
return { -1, dropped, id, last, tonumber(failures) or 0, texts }
