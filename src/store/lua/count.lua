-- Counts one more request of a running attempt (the next credential, a re-signed assertion) before it is sent.
--
-- KEYS 1  state of the target
-- ARGV 1  generation of the attempt
--      2  identical limit: requests
--      3  identical limit: window, ms
--      4  layout version of this daemon
-- Result  {'counted', now}  {'limited', now, at}  {'stale', now} the attempt has lost its lease, or a newer daemon
--         wrote this state
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'a', 'l', 'L', 'v')
if (tonumber(state[4]) or 0) > tonumber(ARGV[4]) then return {'stale', now} end
if state[1] ~= ARGV[1] or (tonumber(state[2]) or 0) <= now then return {'stale', now} end

local windowMs = tonumber(ARGV[3])
local log = {}
for at in string.gmatch(state[3] or '', '%x+') do
  if tonumber(at, 16) > now - windowMs then log[#log + 1] = at end
end
local limit = tonumber(ARGV[2])
if #log >= limit then return {'limited', now, tonumber(log[#log - limit + 1], 16) + windowMs} end
log[#log + 1] = string.format('%x', now)
redis.call('HSET', KEYS[1], 'L', table.concat(log, ','))
return {'counted', now}
