-- Counts the tokens that a call reserves in a sliding window, if they fit (meter::limiter::tokens, in Redis).
-- KEYS: the count. ARGV: the limit, the length of its window in milliseconds, and the tokens.
-- Returns the time of this clock in milliseconds, 1 (counted) or 0, then index, current and previous count.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local key, limit, length, tokens = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local index, elapsed = math.floor(now / length), now % length
local kept = redis.call('HMGET', key, 'i', 'c', 'p')
local at, current, previous = tonumber(kept[1] or 0), tonumber(kept[2] or 0), tonumber(kept[3] or 0)
if at == index - 1 then
  current, previous = 0, current
elseif at == index + 1 then
  index, elapsed = at, 0
elseif at ~= index then
  current, previous = 0, 0
end
local admitted = 0
-- The part of the previous window is rounded up, so that no product leaves the whole numbers of this language.
if current + tokens + math.ceil(previous * ((length - elapsed) / length)) <= limit then
  admitted, current = 1, current + tokens
  redis.call('HSET', key, 'i', index, 'c', string.format('%.0f', current), 'p', string.format('%.0f', previous))
  redis.call('PEXPIRE', key, 2 * length)
end
return {now, admitted, index, current, previous}
