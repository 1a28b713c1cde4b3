-- A process says that it lives, and hears who else does and which epoch it is.
--
-- KEYS 1  processes: id -> Redis time of the last heartbeat
--      2  what each process says of itself
--      3  epoch
-- ARGV 1  process id
--      2  what it says of itself, JSON; empty when it is leaving
--      3  ms without a heartbeat after which a process is no longer counted as live
-- Result  {now, epoch id ('' if there is none), epoch opens at, {what each live process says, ...}}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
else
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
-- A heartbeat in the future is of a clock that has gone back since: who lives beats again.
local liveMs = tonumber(ARGV[3])
for _, range in ipairs({{'-inf', now - liveMs}, {'(' .. (now + liveMs), '+inf'}}) do
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], unpack(range))) do
    redis.call('ZREM', KEYS[1], gone)
    redis.call('HDEL', KEYS[2], gone)
  end
end
local epoch = redis.call('HMGET', KEYS[3], 'id', 'opensAt')
return {now, epoch[1] or '', (tonumber(epoch[2]) or 0), redis.call('HVALS', KEYS[2])}
