-- Deletes a token at once: for an incident, or because its target is no longer managed. What is still being
-- acquired is fenced off by raising the floor of generations.
--
-- KEYS 1  state of the target
--      2  token key
-- ARGV 1  '1' when the target goes as well: the rest of its state follows after ARGV 2
--      2  ms to keep the identical log and the floor
--      3  layout version of this daemon; of a state that a newer one wrote only the floor is raised
-- Result  {'erased', now, 1 if there was a token, floor}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'g', 'a', 'v', 'w')
-- Above a running attempt also where its generation is ahead of the clock.
local floor = math.max(now, (tonumber(state[1]) or 0) + 1, (tonumber(state[2]) or 0) + 1)
local deleted = redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'g', floor, 'a', floor)
if (tonumber(state[3]) or 0) > tonumber(ARGV[3]) then return {'erased', now, deleted, floor} end
redis.call('HSET', KEYS[1], 'v', ARGV[3])
redis.call('HDEL', KEYS[1], 'i', 'e', 'p', 'u', 'h', 'd', 't', 'w', 'b', 'c', 'n', 'f', 'r', 'x', 's', 'l')
-- What is dormant stays so: there is no token that anybody would miss. But who has asked for one is not forgotten.
if ARGV[1] == '1' or state[4] then redis.call('HDEL', KEYS[1], 'z') end
if ARGV[1] == '1' or redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {'erased', now, deleted, floor}
