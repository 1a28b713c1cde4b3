-- Gives Redis back what a process remembers after Redis has lost it, or has come back with an older file: a token
-- that still lives and is newer than the one that is there, and the requests that were sent. A token that is given
-- back concludes its attempt as publishing it would have.
--
-- KEYS 1  state of the target
--      2  token key
-- ARGV 1  generation
--      2  Redis time at which the request was sent, ms
--      3  end of the token's life, ms
--      4  the token's record; empty: only the log is given back
--      5  fingerprint of the wire request
--      6  requests sent, hexadecimal ms with commas, oldest first
--      7  how long the state is kept beyond its token, ms
--      8  identical limit: window, ms; requests before it are left out
--      9  channel that tells of a new token
--      10 the message
--      11 layout version of this daemon; a state that a newer one wrote is left alone
--      12 what tells the token from another
--      13 the tenant that the token names; empty where that is not kept
--      14 when the server would have it refreshed, ms after ARGV 2; 0: it did not say
-- Result  {'restored' or 'kept', now}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'g', 'a', 'L', 'e', 's', 'w', 'v', 'z')
if (tonumber(state[7]) or 0) > tonumber(ARGV[11]) then return {'kept', now} end
local generation = tonumber(ARGV[1])
local windowStart = now - tonumber(ARGV[8])

local seen, log = {}, {}
for at in string.gmatch((state[3] or '') .. ',' .. ARGV[6], '%x+') do
  if not seen[at] and tonumber(at, 16) > windowStart then
    seen[at] = true
    log[#log + 1] = at
  end
end
table.sort(log, function(one, other) return tonumber(one, 16) < tonumber(other, 16) end)
local attempted = (tonumber(state[2]) or 0)
redis.call('HSET', KEYS[1], 'v', ARGV[11], 'L', table.concat(log, ','), 'a', math.max(attempted, generation))

local outcome = 'kept'
local expiresAt = (tonumber(state[4]) or 0)
if ARGV[4] ~= '' and generation > (tonumber(state[1]) or 0) and tonumber(ARGV[3]) > now then
  redis.call('SET', KEYS[2], ARGV[4], 'PXAT', ARGV[3])
  redis.call('HSET', KEYS[1], 'g', ARGV[1], 'i', ARGV[2], 'e', ARGV[3], 'h', ARGV[5], 'd', ARGV[12])
  if ARGV[13] ~= '' then redis.call('HSET', KEYS[1], 't', ARGV[13]) end
  if ARGV[14] ~= '0' then redis.call('HSET', KEYS[1], 'p', ARGV[14]) else redis.call('HDEL', KEYS[1], 'p') end
  -- It counts as read, as any write does.
  redis.call('HDEL', KEYS[1], 'u', 'z')
  if generation >= (tonumber(state[5]) or 0) then
    redis.call('HSET', KEYS[1], 's', ARGV[1])
    redis.call('HDEL', KEYS[1], 'n', 'f', 'r', 'x')
  end
  if generation >= (tonumber(state[6]) or 0) then redis.call('HDEL', KEYS[1], 'w', 'b', 'c') end
  if generation >= attempted then redis.call('HDEL', KEYS[1], 'l') end
  redis.call('PUBLISH', ARGV[9], ARGV[10])
  expiresAt = tonumber(ARGV[3])
  outcome = 'restored'
end
-- The state of a dormant target outlives its token by far.
if outcome == 'restored' or not state[8] then
  redis.call('PEXPIRE', KEYS[1], math.max(0, expiresAt - now) + tonumber(ARGV[7]))
end
return {outcome, now}
