-- One step of a dispatcher, for one host: files what it looked at since the step before, claims from ready what
-- the gates give, and shows what has come due. Any number of dispatchers may take steps side by side.
--
-- KEYS 1  epoch
--      2  due index of the host
--      3  ready index of the host
--      4  gate of the host
--      5  limits: client -> ms between two requests for one of its tenants
--      6  the queue's waiting list
-- ARGV 1  epoch that the dispatcher knows
--      2  prefix of the gates of client + tenant, which live in the same slot
--      3  ms between two requests to the host, when nothing has lowered its rate
--      4  burst tolerance of the host's rate, ms
--      5  burst tolerance of a tenant's rate, ms
--      6  most jobs that may wait in the queue
--      7  most targets to show
--      8  ms after which a target in ready is looked at again
--      9  a probe's claim, ms
--      10 a claim's time in the queue, ms       11 its share of the life left
--      12 its least, ms    13 its most, ms      14 without a live token, ms
--      15 the band width of the ready scores
--      16 the longest time for which a gate is closed, ms: what is closed for longer was closed by a clock that has
--         gone back since, and is open
--      17 the longest grace of an epoch, and of a probe, ms: in the same way
--      18 the numbers of the curve along which a lowered rate grows (core/pace.ts), JSON
--      19 the shares, JSON: lists of classes (core/shares.ts) as turns, passOn and probeOrder
--      20 ... of what was looked at: target, due score seen, 'ready' or 'wait', the score
-- Result  {'epoch'} when Redis does not know the dispatcher's epoch, else
--         {'ok', now, gate closed until, next due (0: none), waiting in ready,
--          {claimed target, ...}, {due target, due score, ...}}
-- With pace.lua before it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch, dueKey, readyKey, gateKey, limitsKey, waitKey = unpack(KEYS)
local known = redis.call('HMGET', epoch, 'id', 'opensAt')
if known[1] ~= ARGV[1] then return {'epoch'} end

local band = tonumber(ARGV[15])

-- Who is ranked by how long it has waited (never issued: band 1, operator: band 3) keeps its place when it is
-- looked at again.
local function fileReady(target, score)
  local before = (tonumber(redis.call('ZSCORE', readyKey, target)) or -1)
  local class = math.floor(score / band)
  if (class == 1 or class == 3) and math.floor(before / band) == class then score = math.min(score, before) end
  redis.call('ZADD', readyKey, string.format('%.17g', score), target)
end

for i = 20, #ARGV, 4 do
  local target = ARGV[i]
  -- As numbers: servers differ in how they write a score.
  local score = redis.call('ZSCORE', dueKey, target)
  if score and tonumber(score) == tonumber(ARGV[i + 1]) then
    if ARGV[i + 2] == 'ready' then
      fileReady(target, tonumber(ARGV[i + 3]))
      redis.call('ZADD', dueKey, 'XX', now + tonumber(ARGV[8]), target)
    else
      redis.call('ZREM', readyKey, target)
      redis.call('ZADD', dueKey, 'XX', ARGV[i + 3], target)
    end
  end
end

local gate = redis.call('HMGET', gateKey, 'nextAt', 'closedUntil', 'probing', 'seq', 'probeUntil', 'rate', 'rateAt', 'refused')
local curve = cjson.decode(ARGV[18])
local fullMs, burstMs, tenantBurstMs = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local longestClosed, longestGrace = tonumber(ARGV[16]), tonumber(ARGV[17])
-- A moment that is further ahead than it can be is of a clock that has gone back since: it holds nobody.
local function within(stored, longest)
  local at = (tonumber(stored) or 0)
  return at - now <= longest and at or 0
end
-- The pace of a scope now, of its fields and its interval at the ceiling. What is stored of it, nextAt, is when the
-- next request may go at the ceiling, so that a rate that has changed since holds at once.
local function paceOf(nextAt, rate, rateAt, refused, closed, full, burst)
  local from = (tonumber(rateAt) or 0)
  local intervalMs = intervalAt(curve, full, (tonumber(rate) or 0), from, (tonumber(refused) or 0), now)
  local at = (tonumber(nextAt) or 0) + intervalMs - full
  -- A turn further ahead than any claim puts it is of a slower ceiling, or of such a clock: then the burst counts as
  -- used up, and the rate holds from now on.
  if at > now + burst + intervalMs + 1 then at = now + burst end
  -- It grows from a moment that has passed, or from the end of a closure. Another one is of such a clock as well: the
  -- rate stays lowered, and grows from now on.
  local isAhead = from > math.max(now, closed)
  return {at = math.max(now, at), intervalMs = intervalMs, fullMs = full, isAhead = isAhead, closed = closed}
end
-- What is stored of the pace after claims.
local function store(key, pace, ...)
  local nextAt = pace.at - pace.intervalMs + pace.fullMs
  if pace.isAhead then redis.call('HSET', key, 'nextAt', nextAt, 'rateAt', now, ...)
  else redis.call('HSET', key, 'nextAt', nextAt, ...) end
end
local closedUntil = within(gate[2], longestClosed)
local pace = paceOf(gate[1], gate[6], gate[7], gate[8], closedUntil, fullMs, burstMs)
local probing = gate[3] == '1'
if probing then closedUntil = math.max(closedUntil, within(gate[5], longestGrace)) end
local gives = 0
if closedUntil <= now and within(known[2], longestGrace) <= now then
  gives = math.max(0, math.floor((now + burstMs - pace.at) / pace.intervalMs) + 1)
  if probing then gives = math.min(gives, 1) end
  gives = math.min(gives, tonumber(ARGV[6]) - redis.call('LLEN', waitKey))
end

local ranges = {
  live = {'(' .. now, '(' .. band},
  dead = {0, now},
  neverIssued = {band, '(' .. 2 * band},
  failing = {2 * band, '(' .. 3 * band},
  failingSince = {'(' .. 2 * band, '(' .. 3 * band},
  operator = {3 * band, '+inf'},
}
local shares = cjson.decode(ARGV[19])

local lists, places = {}, {}
local looks = gives > 0 and (2 * gives + 100) or 0

local function nextOf(class)
  local place = (places[class] or 0) + 1
  if not lists[class] or (place > #lists[class] and lists[class].more) then
    local least, most = unpack(ranges[class])
    -- What was looked at has left ready, so the next page is the first one again.
    -- Of the live a probe goes to the one that ends last: what is tried at a server that is down uses up its identical
    -- limit, and the one that ends first needs its own when the server is back.
    if probing and class == 'live' then
      lists[class] = redis.call('ZREVRANGEBYSCORE', readyKey, most, least, 'WITHSCORES', 'LIMIT', 0, gives + 20)
    else
      lists[class] = redis.call('ZRANGEBYSCORE', readyKey, least, most, 'WITHSCORES', 'LIMIT', 0, gives + 20)
    end
    lists[class].more = #lists[class] == 2 * (gives + 20)
    place = 1
  end
  places[class] = place + 1
  return lists[class][place], (tonumber(lists[class][place + 1]) or 0)
end

local tenantLimits, tenants = {}, {}

local function tenantOf(scope)
  if tenants[scope] then return tenants[scope] end
  local client = string.match(scope, '^[^/]*')
  if not tenantLimits[client] then tenantLimits[client] = (tonumber(redis.call('HGET', limitsKey, client)) or 200) end
  local stored = redis.call('HMGET', ARGV[2] .. scope, 'nextAt', 'closedUntil', 'rate', 'rateAt', 'refused')
  local closed = within(stored[2], longestClosed)
  local tenant = paceOf(stored[1], stored[3], stored[4], stored[5], closed, tenantLimits[client], tenantBurstMs)
  tenant.held = 0
  tenant.isLowered = stored[3] and true or false
  tenants[scope] = tenant
  return tenant
end

-- nil when the tenant's gate lets the target through, else the moment at which it will.
local function heldUntil(target)
  local scope = string.match(target, '^(.*)/[^/]*$')
  local tenant = tenantOf(scope)
  if tenant.closed <= now and tenant.at - tenantBurstMs <= now then
    tenant.at = tenant.at + tenant.intervalMs
    store(ARGV[2] .. scope, tenant)
    local usedUpMs = math.ceil(math.max(tenant.at, tenant.closed) - now)
    redis.call('PEXPIRE', ARGV[2] .. scope, usedUpMs + (tenant.isLowered and 86400000 or 1000))
    return nil
  end
  -- Held targets are given the tenant's next turns one after the other, so that they do not all come back at once. By
  -- the end of the curve a lowered rate has grown: they wait no longer than that for it.
  tenant.held = tenant.held + 1
  local waitsMs = math.min(tenant.held * tenant.intervalMs, curve.ceilingMs + tenant.held * tenant.fullMs)
  return math.ceil(math.max(tenant.closed, tenant.at - tenantBurstMs) + waitsMs)
end

local function claimEnd(class, score)
  local claimMs = tonumber(ARGV[14])
  if class == 'live' then
    claimMs = math.max(tonumber(ARGV[12]), math.min(tonumber(ARGV[13]), tonumber(ARGV[11]) * (score - now)))
  end
  return math.floor(now + tonumber(ARGV[10]) + claimMs)
end

local function take(class)
  while looks > 0 do
    local target, score = nextOf(class)
    if not target then return nil end
    looks = looks - 1
    redis.call('ZREM', readyKey, target)
    if redis.call('ZSCORE', dueKey, target) then
      local held = heldUntil(target)
      redis.call('ZADD', dueKey, 'XX', held or claimEnd(class, score), target)
      if not held then return target end
    end
  end
  return nil
end

local function takeFirst(order)
  for _, class in ipairs(order) do
    local target = take(class)
    if target then return target end
  end
  return nil
end

local claimed = {}
local seq = (tonumber(gate[4]) or 0)
while #claimed < gives do
  local target
  if probing then
    target = takeFirst(shares.probeOrder)
  else
    local turn = shares.turns[seq % #shares.turns + 1]
    target = take(turn) or (turn == 'dead' and take('failing')) or takeFirst(shares.passOn)
  end
  if not target then break end
  claimed[#claimed + 1] = target
  seq = seq + 1
end
if #claimed > 0 then
  pace.at = pace.at + #claimed * pace.intervalMs
  store(gateKey, pace, 'seq', seq)
  if probing then
    closedUntil = now + tonumber(ARGV[9])
    redis.call('HSET', gateKey, 'probeUntil', closedUntil, 'probe', claimed[1])
  end
  redis.call('PEXPIRE', gateKey, 86400000)
end

local due = redis.call('ZRANGEBYSCORE', dueKey, '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[7])
local following = redis.call('ZRANGEBYSCORE', dueKey, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
return {'ok', now, closedUntil, math.floor((tonumber(following[2]) or 0)), redis.call('ZCARD', readyKey), claimed, due}
