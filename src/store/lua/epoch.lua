-- Begins an epoch where there is none: Redis is new, or has lost its state. Claims open after a grace, in which
-- every process that lives can give back what it remembers.
--
-- KEYS 1  epoch
-- ARGV 1  id of the epoch to begin
--      2  grace, ms
-- Result  {1 if it was begun here else 0, id, opens at}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local begun = redis.call('HSETNX', KEYS[1], 'id', ARGV[1])
if begun == 1 then redis.call('HSET', KEYS[1], 'opensAt', now + tonumber(ARGV[2]), 'begunAt', now) end
local epoch = redis.call('HMGET', KEYS[1], 'id', 'opensAt')
return {begun, epoch[1], tonumber(epoch[2])}
