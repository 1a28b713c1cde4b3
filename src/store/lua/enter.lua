-- Takes up a claimed target for its job: the job no longer holds back another one for the target, and what may
-- stand in the way is read, all at one moment.
--
-- KEYS 1  due index of the host
--      2  gate of the host
--      3  gate of client + tenant
--      4  the queue's deduplication key of the target
--      5  marks of the client's credentials
-- ARGV 1  target
--      2  id of the job; another one that waits keeps its key
--      3 ... fields of a gate
-- Result  {now, due score or '' where the target is not managed, {the host's fields}, {the tenant's fields},
--          the marks or ''}
if redis.call('GET', KEYS[4]) == ARGV[2] then redis.call('DEL', KEYS[4]) end
local time = redis.call('TIME')
-- What others have put in its place is no text, and no marks.
local marks = redis.pcall('GET', KEYS[5])
return {
  time[1] * 1000 + math.floor(time[2] / 1000),
  redis.call('ZSCORE', KEYS[1], ARGV[1]) or '',
  redis.call('HMGET', KEYS[2], unpack(ARGV, 3)),
  redis.call('HMGET', KEYS[3], unpack(ARGV, 3)),
  type(marks) == 'string' and marks or '',
}
