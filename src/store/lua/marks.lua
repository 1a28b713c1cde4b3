-- Changes the marks of a client's credentials, if nobody has changed them since they were read.
--
-- KEYS 1  marks
-- ARGV 1  what was read; empty: there were none
--      2  the new marks
--      3  ms after which marks that nobody changes are forgotten
-- Result  {1} if they were changed, {0} if another writer came first
local current = redis.pcall('GET', KEYS[1])
if type(current) ~= 'string' then current = '' end
if current ~= ARGV[1] then return {0} end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return {1}
