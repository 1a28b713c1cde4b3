-- Gives Redis back what a process remembers after Redis has lost it, or has come back with an older file: a token
-- that still lives and is newer than the one that is there, and the requests that were sent.
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
-- Result  {'restored' or 'kept', now}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'g', 'a', 'L', 'e')

local seen, log = {}, {}
for at in string.gmatch((state[3] or '') .. ',' .. ARGV[6], '%x+') do
  if not seen[at] then
    seen[at] = true
    log[#log + 1] = at
  end
end
table.sort(log, function(one, other) return tonumber(one, 16) < tonumber(other, 16) end)
local attempted = math.max(tonumber(state[2] or 0), tonumber(ARGV[1]))
redis.call('HSET', KEYS[1], 'v', 1, 'L', table.concat(log, ','), 'a', attempted)

local outcome = 'kept'
local expiresAt = tonumber(state[4] or 0)
if ARGV[4] ~= '' and tonumber(ARGV[1]) > tonumber(state[1] or 0) and tonumber(ARGV[3]) > now then
  redis.call('SET', KEYS[2], ARGV[4], 'PXAT', ARGV[3])
  redis.call('HSET', KEYS[1], 'g', ARGV[1], 'i', ARGV[2], 'e', ARGV[3], 'h', ARGV[5])
  expiresAt = tonumber(ARGV[3])
  outcome = 'restored'
end
redis.call('PEXPIRE', KEYS[1], math.max(0, expiresAt - now) + tonumber(ARGV[7]))
return {outcome, now}
