-- Changes a gate, if nobody has changed it since it was read.
--
-- KEYS 1  gate
-- ARGV 1  revision that was read; 0: there was no gate
--      2  ms after which an unused gate is forgotten
--      3 ... field, value, ...
-- Result  {1} if it was changed, {0} if another writer came first
if (redis.call('HGET', KEYS[1], 'rev') or '0') ~= ARGV[1] then return {0} end
redis.call('HSET', KEYS[1], 'rev', ARGV[1] + 1, unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {1}
