-- Publishes limits for tenants. The slower one of two processes that differ holds.
--
-- KEYS 1  limits: client -> ms between two requests for one of its tenants
-- ARGV 1  1 if all live processes agree, so that a faster limit may take the place of a slower one; else 0
--      2 ... client, ms, ...
-- Result  {how many were written}
local written = 0
for i = 2, #ARGV, 2 do
  local before = (tonumber(redis.call('HGET', KEYS[1], ARGV[i])) or 0)
  if ARGV[1] == '1' or before < tonumber(ARGV[i + 1]) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    written = written + 1
  end
end
return {written}
