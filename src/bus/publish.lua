-- Gives an event its place in one or more chains of a partition and publishes its frame on their channels, atomically.
--
-- KEYS  [1] the partition's era: a hash {run_id, since}
--       then for each chain: its head, its channel and, if the event has an id, the key that remembers it
-- ARGV  [1] PUBLISH, or SPUBLISH in a cluster       [2] "e" for an ephemeral event, else "o"
--       [3] "1" if the event has an id, else "0"    [4] what the bus frame says of the left-out connection (frame.ts)
--       [5] the frame before its stamp              [6] the frame after its prev
-- Returns for each chain its stamp (0 if ephemeral), or minus the first stamp (minus 1 if ephemeral) if the id was known.
-- Fails with NOERA if the partition has none: its chains would have no defined head.
local HEAD_TTL = 604800 -- 7 days, as in protocol/chain.ts
local ID_TTL = 300

local publish, kind, has_id, except, before, after = unpack(ARGV)
local since = tonumber(redis.call('HGET', KEYS[1], 'since'))
if not since then
  return redis.error_reply('NOERA ' .. KEYS[1])
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local width = has_id == '1' and 3 or 2
local answers = {}

for i = 2, #KEYS, width do
  local head, channel, id = KEYS[i], KEYS[i + 1], KEYS[i + 2]
  local seen = width == 3 and redis.call('GET', id)
  if seen then
    answers[#answers + 1] = seen == '0' and -1 or -seen
  else
    local stamp, frame = 0, before .. after
    if kind == 'o' then
      -- Stamps have 16 digits and are exact in a double; tostring would write 1.7e+15.
      -- A head from before the era is none: the first event of an era must not fit to anything that a client knows.
      local prev = math.max(tonumber(redis.call('GET', head)) or 0, since)
      stamp = math.max(now, prev + 1)
      local text = string.format('%.0f', stamp)
      redis.call('SET', head, text, 'EX', HEAD_TTL)
      frame = before .. text .. ',"prev":' .. string.format('%.0f', prev) .. after
    end
    if width == 3 then
      redis.call('SET', id, string.format('%.0f', stamp), 'EX', ID_TTL)
    end
    redis.call(publish, channel, '1' .. kind .. string.format('%016.0f', stamp) .. except .. frame)
    answers[#answers + 1] = stamp
  end
end
return answers
