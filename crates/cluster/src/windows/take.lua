-- Counts a request against one or several limits: against all, or against none if one is full.
-- KEYS: one log per limit. ARGV: for each key, the limit and the length of its window in milliseconds.
-- Returns 1 (counted) or 0, then for each limit the rest, the time until the first request leaves the window, and the time
-- until one may pass.
local windows, admitted = {}, 1
for i, key in ipairs(KEYS) do
  windows[i] = read(key, tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i]))
  if windows[i].used >= windows[i].limit then
    admitted = 0
  end
end
local answer = {admitted}
for _, window in ipairs(windows) do
  if admitted == 1 then
    add(window, 1)
  end
  local left, reset = level(window)
  answer[#answer + 1] = left
  answer[#answer + 1] = reset
  answer[#answer + 1] = wait(window, window.limit - 1)
end
return answer
