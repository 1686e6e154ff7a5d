-- Sets how many connections a node has for users at topics of one partition, and tells each topic at which a number
-- changed. What was set before the partition's era began counts no longer (DESIGN §7): Redis may have come back older.
--
-- KEYS  [1] the partition's era: a hash {since, …}
--       [2] the node's entries: a hash {e: era, "TOPIC USER": connections}   [3] the nodes that have entries: a set
--       then for each topic: its presence, and its channel. The presence is a hash {e: era, v: version, n: users,
--       "c:USER": connections of all nodes, "i:USER": info}
-- ARGV  [1] PUBLISH, or SPUBLISH in a cluster   [2] the number of users up to which they are named   [3] the node
--       then for each topic: its name, a number of entries, and for each entry user, connections, info or ""
-- Returns for each topic its version, whether there are users now, and whether there were before: "1" or "0".
-- Fails with NOERA if the partition has none.
local TTL = 172800 -- 2 days; nodes set their entries again twice a day
local EMPTY_TTL = 3600 -- an empty topic keeps its version for a while, so that who follows it need not read it anew

local publish, most = ARGV[1], tonumber(ARGV[2])
local era = redis.call('HGET', KEYS[1], 'since')
if not era then
  return redis.error_reply('NOERA ' .. KEYS[1])
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function begin(key)
  local known = redis.call('HGET', key, 'e')
  if known ~= era then
    redis.call('DEL', key)
    redis.call('HSET', key, 'e', era)
  end
end

local node = KEYS[2]
begin(node)
redis.call('SADD', KEYS[3], ARGV[3])
redis.call('EXPIRE', KEYS[3], TTL)
local arg, answer = 4, {}
for key = 4, #KEYS, 2 do
  local presence, channel, topic, entries = KEYS[key], KEYS[key + 1], ARGV[arg], tonumber(ARGV[arg + 1])
  arg = arg + 2
  begin(presence)
  local came, present, left = 0, {}, {}
  for _ = 1, entries do
    local user, connections, info = ARGV[arg], tonumber(ARGV[arg + 1]), ARGV[arg + 2]
    arg = arg + 3
    local entry = topic .. ' ' .. user
    local before = tonumber(redis.call('HGET', node, entry)) or 0
    if connections > 0 and info ~= '' then
      redis.call('HSET', presence, 'i:' .. user, info)
    end
    if connections ~= before then
      if connections == 0 then
        redis.call('HDEL', node, entry)
      else
        redis.call('HSET', node, entry, connections)
      end
      local total = redis.call('HINCRBY', presence, 'c:' .. user, connections - before)
      if total <= 0 then
        redis.call('HDEL', presence, 'c:' .. user, 'i:' .. user)
        left[#left + 1] = '"' .. user .. '"'
      else
        came = came + (total == connections - before and 1 or 0)
        info = info ~= '' and ',"info":' .. info or ''
        present[#present + 1] = '{"user":"' .. user .. '","connections":' .. total .. info .. '}'
      end
    end
  end
  local users = tonumber(redis.call('HGET', presence, 'n')) or 0
  local before = users
  if #present + #left > 0 then
    users = redis.call('HINCRBY', presence, 'n', came - #left)
    local prev = redis.call('HGET', presence, 'v') or '0'
    local version = string.format('%.0f', math.max(now, tonumber(prev) + 1))
    redis.call('HSET', presence, 'v', version)
    local names = ''
    if users <= most then
      names = ',"present":[' .. table.concat(present, ',') .. '],"left":[' .. table.concat(left, ',') .. ']'
    end
    local change = '{"prev":' .. prev .. ',"count":' .. users .. names .. '}'
    redis.call(publish, channel, '1p' .. string.format('%016.0f', tonumber(version)) .. '000' .. change)
  end
  redis.call('EXPIRE', presence, users > 0 and TTL or EMPTY_TTL)
  answer[#answer + 1] = redis.call('HGET', presence, 'v') or '0'
  answer[#answer + 1] = users > 0 and '1' or '0'
  answer[#answer + 1] = before > 0 and '1' or '0'
end
redis.call('EXPIRE', node, TTL)
return answer
