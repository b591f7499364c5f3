-- Counts the tokens that a call reserves in a sliding window, if they fit.
-- KEYS: the log. ARGV: the limit, the length of its window in milliseconds, and the tokens.
-- Returns the time at which they count in milliseconds, 1 (counted) or 0, the rest, the time until the first tokens leave the
-- window, and the time until the call fits.
local window, tokens = read(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])), tonumber(ARGV[3])
local delay = wait(window, math.max(0, window.limit - tokens))
local admitted = 0
if window.used + tokens <= window.limit then
  admitted = 1
  add(window, tokens)
end
local rest, reset = level(window)
return {window.now, admitted, rest, reset, delay}
