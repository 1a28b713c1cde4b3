-- Gives back a claim that was not used, with the request that it stood for; a probe that was not sent is over.
--
-- KEYS 1  due index of the host
--      2  gate of the host
-- ARGV 1  target
--      2  due score of the claim; another score means that the claim has ended or was overtaken
--      3  when to offer the target again, ms from now
--      4  ms between two requests to the host, when nothing has lowered its rate; 0: unknown, and it keeps its place
--      5  the numbers of the curve along which a lowered rate grows (core/pace.ts), JSON
-- Result  {1} if it was given back, else {0}
-- With pace.lua before it.
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return {0} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], 'XX', now + tonumber(ARGV[3]), ARGV[1])
local gate = redis.call('HMGET', KEYS[2], 'nextAt', 'probe', 'rate', 'rateAt', 'refused')
local fullMs = tonumber(ARGV[4])
if fullMs > 0 then
  local rate, rateAt, refused = (tonumber(gate[3]) or 0), (tonumber(gate[4]) or 0), (tonumber(gate[5]) or 0)
  local intervalMs = intervalAt(cjson.decode(ARGV[5]), fullMs, rate, rateAt, refused, now)
  -- nextAt is when the next request may go at the ceiling; it is not taken below what lets one go now.
  local nextAt, least = (tonumber(gate[1]) or 0), now - intervalMs + fullMs
  if nextAt > least then redis.call('HSET', KEYS[2], 'nextAt', math.max(least, nextAt - intervalMs)) end
end
if gate[2] == ARGV[1] then redis.call('HSET', KEYS[2], 'probeUntil', 0) end
return {1}
