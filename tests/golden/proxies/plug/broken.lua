-- A table of what was never made.

local names = { list.first }

function session(s) end
