-- Concludes an attempt that got a token: one fenced write of the token and of the target's status.
--
-- KEYS 1  state of the target
--      2  token key
-- ARGV 1  generation of the attempt
--      2  Redis time at which the request was sent, ms
--      3  end of the token's life, ms
--      4  the token's record, as consumers read it
--      5  fingerprint of the wire request
--      6  channel that tells of a new token
--      7  the message
--      8  how long the state is kept beyond its token, ms
--      9  layout version of this daemon
--      10 what tells the token from another
--      11 the tenant that the token names; empty where that is not kept
--      12 when the server would have it refreshed, ms after ARGV 2; 0: it did not say
--      13 '1' where unread targets retire: the new value takes over for how long nobody has read the old one
-- Result  {'published', now}
--         {'stale', now, generation}  a newer generation is published, or a newer daemon wrote this state: this
--                                     one changes nothing
--         {'dead', now}               the token has ended already: setting it would delete the live one
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'g', 'a', 's', 'w', 'v', 'u', 'i')
local generation = tonumber(ARGV[1])
if (tonumber(state[5]) or 0) > tonumber(ARGV[9]) then return {'stale', now, (tonumber(state[1]) or 0)} end
if generation <= (tonumber(state[1]) or 0) then return {'stale', now, tonumber(state[1])} end
if tonumber(ARGV[3]) <= now then return {'dead', now} end

-- A write makes a key look as if it had just been read. What was known of reads is kept in the state and given to the
-- new value, so that any read of it shows, also one that follows at once. Whoever ordered it counts as a reader.
local readAt = now
if ARGV[13] == '1' and not state[4] then
  local idle = redis.pcall('OBJECT', 'IDLETIME', KEYS[2])
  local known = tonumber(state[6]) or tonumber(state[7]) or now
  if type(idle) == 'number' then readAt = math.min(now, math.max(known, now - 1000 * idle)) end
end
redis.call('SET', KEYS[2], ARGV[4], 'PXAT', ARGV[3])

local set = {'v', ARGV[9], 'g', ARGV[1], 'i', ARGV[2], 'e', ARGV[3], 'h', ARGV[5], 'd', ARGV[10]}
local gone = {'z'}
local function put(field, value)
  if value then
    set[#set + 1] = field
    set[#set + 1] = value
  else
    gone[#gone + 1] = field
  end
end
if ARGV[11] ~= '' then put('t', ARGV[11]) end
put('p', ARGV[12] ~= '0' and ARGV[12])
put('u', ARGV[13] == '1' and readAt)
if generation >= (tonumber(state[3]) or 0) then
  put('s', ARGV[1])
  for _, field in ipairs({'n', 'f', 'r', 'x'}) do put(field, nil) end
end
if generation >= (tonumber(state[4]) or 0) then
  for _, field in ipairs({'w', 'b', 'c'}) do put(field, nil) end
end
if generation >= (tonumber(state[2]) or 0) then
  put('a', ARGV[1])
  put('l', nil)
end
redis.call('HSET', KEYS[1], unpack(set))
redis.call('HDEL', KEYS[1], unpack(gone))
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[3]) - now + tonumber(ARGV[8]))
redis.call('PUBLISH', ARGV[6], ARGV[7])

-- Last, so that a server that knows none of this has written all the rest. Not for replicas and files, which do not
-- hear of reads: there the write counts as one. So it does where this user may not dump or restore.
local idleSeconds = math.floor((now - readAt) / 1000)
if idleSeconds > 0 then
  redis.set_repl(redis.REPL_NONE)
  local value = redis.pcall('DUMP', KEYS[2])
  if type(value) == 'string' then
    redis.pcall('RESTORE', KEYS[2], ARGV[3], value, 'REPLACE', 'ABSTTL', 'IDLETIME', idleSeconds)
  end
  redis.set_repl(redis.REPL_ALL)
end
return {'published', now}
