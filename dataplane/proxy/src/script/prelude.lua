-- What of `table` goes through a table step by step, in Lua, so that its steps are counted as any script's.
-- The library's own versions run in one go for as long as a metatable, or three numbers, tell them to.
local error, rawlen, type, select = error, rawlen, type, select

local function bounds(t)
  if type(t) ~= "table" then error("a table was expected, not " .. type(t), 3) end
  return #t
end

function table.insert(t, ...)
  local n, count = bounds(t), select("#", ...)
  if count == 1 then
    t[n + 1] = (...)
  elseif count == 2 then
    local at, value = ...
    if at < 1 or at > n + 1 then error("bad argument #2 to 'insert' (position out of bounds)", 2) end
    for i = n, at, -1 do t[i + 1] = t[i] end
    t[at] = value
  else
    error("wrong number of arguments to 'insert'", 2)
  end
end

function table.remove(t, at)
  local n = bounds(t)
  if at == nil then at = n end
  if n > 0 and (at < 1 or at > n + 1) then error("bad argument #2 to 'remove' (position out of bounds)", 2) end
  local value = t[at]
  for i = at, n - 1 do t[i] = t[i + 1] end
  if at <= n then t[n] = nil end
  return value
end

function table.move(from, first, last, at, to)
  bounds(from)
  to = to or from
  if at > first and at <= last and from == to then
    for i = last - first, 0, -1 do to[at + i] = from[first + i] end
  else
    for i = 0, last - first do to[at + i] = from[first + i] end
  end
  return to
end

-- A heap sort: what the order function says can make it neither slow nor endless.
function table.sort(t, before)
  before = before or function(a, b) return a < b end
  local n = bounds(t)
  local function sift(root, last)
    local value = t[root]
    while 2 * root <= last do
      local child = 2 * root
      if child < last and before(t[child], t[child + 1]) then child = child + 1 end
      if not before(value, t[child]) then break end
      t[root] = t[child]
      root = child
    end
    t[root] = value
  end
  for root = n // 2, 1, -1 do sift(root, n) end
  for last = n, 2, -1 do
    t[1], t[last] = t[last], t[1]
    sift(1, last - 1)
  end
end
