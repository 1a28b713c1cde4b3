-- Plans when something is next to be done about a target: of two moments the one whose slot is emptier, for the
-- due index is the histogram of planned work. Left alone if anyone has moved the target since it was claimed.
--
-- KEYS 1  due index of the host
--      2  ready index of the host
-- ARGV 1  target
--      2  due score seen when the attempt began
--      3  slot width, ms
--      4, 5  candidate moments, ms
-- Result  {'planned' or 'moved', due score} or {'unmanaged', 0}
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then return {'unmanaged', 0} end
if tonumber(score) ~= tonumber(ARGV[2]) then return {'moved', math.floor(tonumber(score))} end

local best, bestLoad
for i = 4, 5 do
  local at = tonumber(ARGV[i])
  local load = redis.call('ZCOUNT', KEYS[1], at, '(' .. (at + tonumber(ARGV[3])))
  if not bestLoad or load < bestLoad then best, bestLoad = at, load end
end
redis.call('ZADD', KEYS[1], 'XX', best, ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return {'planned', best}
