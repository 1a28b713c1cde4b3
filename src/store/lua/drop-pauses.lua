-- Drops pauses that have ended, unless they were made anew since they were read.
--
-- KEYS 1  pauses
-- ARGV 1 ... select, what was read of it, ...
-- Result  {how many were dropped}
local dropped = 0
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    dropped = dropped + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return {dropped}
