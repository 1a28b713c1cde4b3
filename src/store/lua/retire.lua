-- Notes that a target is dormant: nobody reads its token, so it is left alone until somebody asks. The token that is
-- there stays until its end. Said again, it only keeps the state for longer.
--
-- KEYS 1  state of the target
-- ARGV 1  generation of the token that nobody has read
--      2  layout version of this daemon
--      3  how long the state of a dormant target is kept, ms
-- Result  {'retired', now} or {'kept', now}: another token is there, one is wanted, an attempt is running, or a newer
--         daemon wrote this state
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'g', 'w', 'l', 'v', 'z')
if (tonumber(state[4]) or 0) > tonumber(ARGV[2]) then return {'kept', now} end
if state[1] ~= ARGV[1] or state[2] or (tonumber(state[3]) or 0) > now then return {'kept', now} end

redis.call('HSET', KEYS[1], 'v', ARGV[2], 'z', state[5] or now)
-- Trouble with a token that nobody wants is none.
redis.call('HDEL', KEYS[1], 'n', 'f', 'r', 'x')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'retired', now}
