-- Puts facts at the end of a site's queue, each in the place of a waiting one of the same state.
--
-- KEYS  [1] facts: a stream {f: text, s: state}   [2] waiting states: a hash {state: id in the stream}
--       [3] versions: a sorted set of states by version   [4] the site's work: a hash (see take.lua)
--       [5] sites of the partition with work, by when to look, in milliseconds   [6] those that are paused: a set
-- ARGV  [1] site   [2] config   [3] ms until a batch closes   [4] most without a state   [5] most   [6] ms of versions
--       [7] ms that a fact may wait, then for each fact: state or "", version, text
-- Returns milliseconds until it is worth to take, -1 if nobody need, and the number of facts dropped.
local TTL, LONG = 90000, 2592000 -- 25 hours, a fact lives a day; 30 days
local facts, states, versions, work = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('EXPIRE', work, LONG)

local gone = redis.call('HGET', work, 'gone')
if gone == ARGV[2] then
  return { -1, (#ARGV - 7) / 3 }
elseif gone then
  redis.call('DEL', work)
end

local function parts(id)
  local ms, seq = id:match('^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end
local function upTo(id, last)
  local ms, seq = parts(id)
  local lastMs, lastSeq = parts(last)
  return ms < lastMs or (ms == lastMs and seq <= lastSeq)
end

redis.call('ZREMRANGEBYSCORE', versions, 0, (now - ARGV[6]) * 1000)
-- Nobody else does it while the site is paused.
local dropped = redis.call('XTRIM', facts, 'MINID', string.format('%.0f', now - ARGV[7]))
if dropped > 0 then
  redis.call('HDEL', work, 'id', 'last')
end
local last = redis.call('HGET', work, 'last')
local length = redis.call('XLEN', facts)
for arg = 8, #ARGV, 3 do
  local state, version, text = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2]
  local fresh = true
  if state ~= '' then
    local known = redis.call('ZSCORE', versions, state)
    fresh = not known or tonumber(known) < tonumber(version)
    local before = fresh and redis.call('HGET', states, state)
    if before and redis.call('XDEL', facts, before) == 1 then
      length = length - 1
      if last and upTo(before, last) then
        -- The body is another now, so it needs another id.
        redis.call('HDEL', work, 'id', 'last')
        last = false
      end
    end
  end
  if fresh and length >= tonumber(state == '' and ARGV[4] or ARGV[5]) then
    dropped = dropped + 1
  elseif fresh then
    local id = redis.call('XADD', facts, '*', 'f', text, 's', state)
    length = length + 1
    if state ~= '' then
      redis.call('HSET', states, state, id)
      redis.call('ZADD', versions, version, state)
    end
  end
end
redis.call('EXPIRE', facts, TTL)
redis.call('EXPIRE', states, TTL)
redis.call('EXPIRE', versions, TTL)
if length == 0 or redis.call('SISMEMBER', KEYS[6], ARGV[1]) == 1 then
  return { -1, dropped }
end

local wait = length >= 100 and 0 or tonumber(ARGV[3])
redis.call('ZADD', KEYS[5], 'NX', now + wait, ARGV[1])
redis.call('EXPIRE', KEYS[5], TTL)
local lease, next = unpack(redis.call('HMGET', work, 'until', 'next'))
if (lease and tonumber(lease) > now) or (next and tonumber(next) > now) then
  wait = -1
end
return { wait, dropped }
