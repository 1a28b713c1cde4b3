-- No script of its own: the text of dispatch.lua and of give-back.lua begins with it. It is the curve of
-- src/core/pace.ts, whose numbers come with the arguments.
--
-- Gives the ms between two requests of a scope at a moment.
-- curve   the numbers, as core/pace.ts names them
-- fullMs  ms between two requests at the ceiling
-- rate, rateAt, refused  of the gate, as numbers; rate 0: nothing has ever lowered it
local function intervalAt(curve, fullMs, rate, rateAt, refused, now)
  if rate <= 0 then return fullMs end
  local ceiling = 1000 / fullMs
  local ms = math.max(0, now - rateAt)
  local at = math.min(ceiling, math.max(rate, curve.floor * ceiling))
  local near, beyond = curve.nearFrom * refused, curve.nearTo * refused
  if at < (refused == 0 and ceiling or curve.decrease * refused) then
    local to = refused == 0 and ceiling or math.min(ceiling, near)
    local takesMs = math.log(to / at) / math.log(2) * curve.doublingMs
    if ms <= takesMs then return 1000 / (at * 2 ^ (ms / curve.doublingMs)) end
    ms = ms - takesMs
    at = to
  end
  local perMs, creepPerMs = ceiling / curve.ceilingMs, (beyond - near) / curve.creepMs
  local parts = {{math.min(ceiling, near), perMs}, {math.min(ceiling, beyond), creepPerMs}, {ceiling, perMs}}
  for _, part in ipairs(parts) do
    local to, slope = part[1], part[2]
    if at < to then
      local takesMs = (to - at) / slope
      if ms <= takesMs then return 1000 / (at + slope * ms) end
      ms = ms - takesMs
      at = to
    end
  end
  return fullMs
end

