-- Names a partition's era. Begins a new one if the primary is another than the one that began the last (DESIGN §7), and
-- moves the start of one that another node began without knowing all that was delivered before (CONTRACT 4).
--
-- KEYS  [1] the partition's era: a hash {run_id, since}
-- ARGV  [1] the primary's run id   [2] the newest stamp that the caller has forwarded, or 0
--       [3] the era's start as the caller knows it, or 0   [4] "1" if the caller was cut off until now, so that its
--           newest stamp is of an era before, unless the era is the one it knows; then the start may have to move
-- Returns the era's start in microseconds.
local TTL = 1209600 -- 14 days: an era outlives the heads (7 days) that it explains; nodes renew it

local run_id, newest, caller_knows, was_cut_off = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local known = redis.call('HMGET', KEYS[1], 'run_id', 'since')
local since = tonumber(known[2])
if known[1] ~= run_id or not since or (was_cut_off and since ~= caller_knows and newest >= since) then
  local time = redis.call('TIME')
  -- One second ahead, since hosts of Redis may differ by that much (CONTRACT 4).
  since = math.max(time[1] * 1000000 + time[2], newest) + 1000000
  redis.call('HSET', KEYS[1], 'run_id', run_id, 'since', string.format('%.0f', since))
end
redis.call('EXPIRE', KEYS[1], TTL)
return since
