-- Gives back a claim that was not used, with the request that it stood for; a probe that was not sent is over.
--
-- KEYS 1  due index of the host
--      2  gate of the host
-- ARGV 1  target
--      2  due score of the claim; another score means that the claim has ended or was overtaken
--      3  when to offer the target again, ms from now
--      4  ms that one request takes of the host's rate
-- Result  {1} if it was given back, else {0}
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return {0} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], 'XX', now + tonumber(ARGV[3]), ARGV[1])
local gate = redis.call('HMGET', KEYS[2], 'nextAt', 'probe')
local nextAt = (tonumber(gate[1]) or 0)
if nextAt > now then redis.call('HSET', KEYS[2], 'nextAt', math.max(now, nextAt - tonumber(ARGV[4]))) end
if gate[2] == ARGV[1] then redis.call('HSET', KEYS[2], 'probeUntil', 0) end
return {1}
