-- Ends an attempt that sent nothing: gives back its lease and its place in the identical log.
--
-- KEYS 1  state of the target
-- ARGV 1  generation of the attempt
--      2  generation of the attempt before it, which is the newest again
--      3  Redis time at which the attempt began: its entry in the log, ms
--      4  layout version of this daemon
-- Result  {'released', now} or {'stale', now} when a later attempt has begun since, or a newer daemon wrote this
--         state
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'a', 'L', 'v')
if state[1] ~= ARGV[1] or (tonumber(state[3]) or 0) > tonumber(ARGV[4]) then return {'stale', now} end

local entry = string.format('%x', tonumber(ARGV[3]))
local log, dropped = {}, false
for at in string.gmatch(state[2] or '', '%x+') do
  if at == entry and not dropped then dropped = true else log[#log + 1] = at end
end
redis.call('HSET', KEYS[1], 'L', table.concat(log, ','), 'a', ARGV[2])
redis.call('HDEL', KEYS[1], 'l')
return {'released', now}
