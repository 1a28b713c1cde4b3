-- Raises the wanted generation: refresh although the plan says later. Doing it twice with one order is doing it once.
-- Requests in the log that are dated later than now are of a clock that has gone back since: they count from now on.
--
-- KEYS 1  state of the target
-- ARGV 1  the order's generation (Redis time at which it was given, plus one); 0: now
--      2  who wants it, in words
--      3  only if this is the published generation; empty: whatever is published
--      4  layout version of this daemon
--      5  how long the state is kept, ms
--      6  claims that the next request is to carry, JSON; empty: none
-- Result  {'wanted', now, generation} or {'superseded', now, published generation} or {'newer', now, version}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'v', 'g', 'a', 'w', 'L')
if (tonumber(state[1]) or 0) > tonumber(ARGV[4]) then return {'newer', now, tonumber(state[1])} end
if ARGV[3] ~= '' and ARGV[3] ~= (state[2] or '0') then return {'superseded', now, (tonumber(state[2]) or 0)} end

local log, redated = {}, false
for at in string.gmatch(state[5] or '', '%x+') do
  redated = redated or tonumber(at, 16) > now
  log[#log + 1] = tonumber(at, 16) > now and string.format('%x', now) or at
end
if redated then redis.call('HSET', KEYS[1], 'L', table.concat(log, ',')) end

local order = tonumber(ARGV[1])
if order == 0 then order = now + 1 end
-- After the clock went back generations run ahead of it; an order is still newer than an attempt before it.
local attempted = (tonumber(state[3]) or 0)
if attempted > now then order = math.max(order, attempted + 1) end
if order > (tonumber(state[4]) or 0) then
  redis.call('HSET', KEYS[1], 'v', ARGV[4], 'w', order, 'b', ARGV[2])
  if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'c', ARGV[6]) end
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5]) then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
end
return {'wanted', now, order}
