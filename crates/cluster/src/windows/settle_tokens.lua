-- Replaces the tokens that a call has reserved by those that it has used (meter::limiter::tokens, in Redis).
-- KEYS: the count or the bucket. ARGV: the number of the window of the reservation, the length of a window in milliseconds,
-- the reserved and the used tokens; or 0, 0 and the nanoseconds in which the bucket refills by both.
local time = redis.call('TIME')
local key, window, length = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local more = tonumber(ARGV[4]) - tonumber(ARGV[3])
if length == 0 then
  local now = time[1] * 1000000 + time[2]
  local kept = redis.call('HMGET', key, 't', 'f')
  local at, full = tonumber(kept[1] or now), tonumber(kept[2] or 0)
  full = math.max(0, math.max(0, full - math.max(0, now - at) * 1000) + more)
  redis.call('HSET', key, 't', string.format('%.0f', now), 'f', string.format('%.0f', full))
  redis.call('PEXPIRE', key, math.ceil(full / 1000000) + 1000)
  return 0
end
local index = math.floor((time[1] * 1000 + math.floor(time[2] / 1000)) / length)
local kept = redis.call('HMGET', key, 'i', 'c', 'p')
local at, current, previous = tonumber(kept[1] or 0), tonumber(kept[2] or 0), tonumber(kept[3] or 0)
if at == index - 1 then
  current, previous = 0, current
elseif at == index + 1 then
  index = at
elseif at ~= index then
  current, previous = 0, 0
end
if more >= 0 or index == window then
  current = math.max(0, current + more)
elseif index == window + 1 then
  previous = math.max(0, previous + more)
end
redis.call('HSET', key, 'i', index, 'c', string.format('%.0f', current), 'p', string.format('%.0f', previous))
redis.call('PEXPIRE', key, 2 * length)
return 0
