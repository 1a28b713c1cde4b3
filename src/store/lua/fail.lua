-- Concludes an attempt that got no token. The token that is there is not touched.
--
-- KEYS 1  state of the target
-- ARGV 1  generation of the attempt
--      2  the failure, kind:code
--      3  not to be tried again for so long, ms
--      4  how long a state without a token is kept, ms
--      5  layout version of this daemon
--      6  id under which the server's support can look the request up, or empty
-- Result  {'noted', now, when it may be tried again} or {'stale', now} when a later attempt has begun since, the token
--         of this one is published, or a newer daemon wrote this state
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'g', 'a', 'v')
local generation = tonumber(ARGV[1])
if (tonumber(state[3]) or 0) > tonumber(ARGV[5]) then return {'stale', now} end
if generation < (tonumber(state[2]) or 0) or generation <= (tonumber(state[1]) or 0) then return {'stale', now} end

local retryAt = now + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'v', ARGV[5], 's', ARGV[1], 'f', ARGV[2], 'r', retryAt)
if ARGV[6] == '' then redis.call('HDEL', KEYS[1], 'x') else redis.call('HSET', KEYS[1], 'x', ARGV[6]) end
redis.call('HINCRBY', KEYS[1], 'n', 1)
redis.call('HDEL', KEYS[1], 'l')
-- Redis may have lost the state since the attempt began; what is written anew has to end some time.
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return {'noted', now, retryAt}
