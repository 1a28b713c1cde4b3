-- Begins an attempt on a target: takes its lease, counts the first request in the identical log, gives a
-- generation. Nothing is sent without it, so no producer of jobs gets around the lease or the limit.
--
-- KEYS 1  state of the target
-- ARGV 1  layout version of this daemon
--      2  lease, ms
--      3  identical limit: requests
--      4  identical limit: window, ms
--      5  how long the state is kept beyond its token, ms
--      6  the longest lease there can be, ms: one further ahead is of a clock that has gone back since
-- Result  {'begun', now, generation, state before as field, value, ...}
--         {'leased', now, until}    another attempt is running
--         {'limited', now, at}      as many identical requests as are allowed have been sent
--         {'newer', now, version}   a newer daemon wrote this state: leave it alone
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fields = redis.call('HGETALL', KEYS[1])
local state = {}
for i = 1, #fields, 2 do state[fields[i]] = fields[i + 1] end

local version = tonumber(state.v) or 0
if version > tonumber(ARGV[1]) then return {'newer', now, version} end
local lease = (tonumber(state.l) or 0)
if lease > now and lease - now <= tonumber(ARGV[6]) then return {'leased', now, lease} end

local windowMs = tonumber(ARGV[4])
local log = {}
for at in string.gmatch(state.L or '', '%x+') do
  if tonumber(at, 16) > now - windowMs then log[#log + 1] = at end
end
local limit = tonumber(ARGV[3])
if #log >= limit then return {'limited', now, tonumber(log[#log - limit + 1], 16) + windowMs} end
log[#log + 1] = string.format('%x', now)

-- Above every generation ever given, and above what is wanted, so that this attempt fulfils it.
local generation = math.max(now, (tonumber(state.a) or 0) + 1, (tonumber(state.g) or 0) + 1, (tonumber(state.w) or 0))
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'a', generation, 'l', now + tonumber(ARGV[2]), 'L', table.concat(log, ','))
-- The state of a dormant target outlives its token by far.
if not state.z then redis.call('PEXPIRE', KEYS[1], math.max(0, (tonumber(state.e) or 0) - now) + tonumber(ARGV[5])) end
return {'begun', now, generation, unpack(fields)}
