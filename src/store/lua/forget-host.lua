-- Forgets a host that manages nothing, unless something has been enlisted there since.
--
-- KEYS 1  hosts that have indexes
--      2  due index of the host
-- ARGV 1  host
-- Result  {1} if it is forgotten, {0} if it manages something
if redis.call('ZCARD', KEYS[2]) > 0 then return {0} end
redis.call('SREM', KEYS[1], ARGV[1])
return {1}
