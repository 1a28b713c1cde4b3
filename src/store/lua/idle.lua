-- Tries whether this server tells when a key was last read, and lets a write keep what it tells: what `publish.lua`
-- does where unread targets retire.
--
-- KEYS 1  a key for this alone; gone after a second
-- Result  {'tracked'} or {'unknown', why}
local TRIED_SECONDS = 100
redis.call('SET', KEYS[1], '1', 'PX', 1000)
redis.set_repl(redis.REPL_NONE)
local value = redis.pcall('DUMP', KEYS[1])
local restored = value
if type(value) == 'string' then
  restored = redis.pcall('RESTORE', KEYS[1], 1000, value, 'REPLACE', 'IDLETIME', TRIED_SECONDS)
end
redis.set_repl(redis.REPL_ALL)
local idle = redis.pcall('OBJECT', 'IDLETIME', KEYS[1])
if type(idle) ~= 'number' then return {'unknown', idle and idle.err or 'it knows of no idle time'} end
if restored.err then return {'unknown', restored.err} end
if idle < TRIED_SECONDS - 1 then return {'unknown', 'it does not take over an idle time'} end
return {'tracked'}
