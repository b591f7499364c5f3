-- Grants requests of a sliding window to a node, which counts them at once (meter::window, in Redis).
-- KEYS: the count. ARGV: the limit, the length of its window in milliseconds, the number of requests that the node wants,
-- and a divisor: a grant is at most the rest divided by it, but at least one request if one is left.
-- Returns the time of this clock in milliseconds, the number of granted requests, then index, current and previous count.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local key, limit, length = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
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
local left = math.floor(((limit - current) * length - previous * (length - elapsed)) / length)
local granted = 0
if left > 0 then
  granted = math.min(tonumber(ARGV[3]), math.max(1, math.floor(left / tonumber(ARGV[4]))))
  current = current + granted
  redis.call('HSET', key, 'i', index, 'c', current, 'p', previous)
  redis.call('PEXPIRE', key, 2 * length)
end
return {now, granted, index, current, previous}
