-- Grants requests of a sliding window to a node, which counts them at once.
-- KEYS: the log. ARGV: the limit, the length of its window in milliseconds, the number of requests that the node wants,
-- and a divisor: a grant is at most the rest divided by it, but at least one request if one is left.
-- Returns the time at which the requests count in milliseconds, the number of granted requests, the rest, the time until the
-- first request leaves the window, and the time until one may pass.
local window = read(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]))
local left = level(window)
local granted = 0
if left > 0 then
  granted = math.min(tonumber(ARGV[3]), math.max(1, math.floor(left / tonumber(ARGV[4]))))
  add(window, granted)
end
local rest, reset = level(window)
return {window.now, granted, rest, reset, wait(window, window.limit - 1)}
