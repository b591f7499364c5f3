-- Replaces the tokens that a call has reserved by those that it has used (meter::limiter::tokens, in Redis).
-- KEYS: the log or the bucket. ARGV: the limit, the length of its window in milliseconds, the time at which the reservation
-- counts, the reserved and the used tokens; or 0, 0, 0 and the nanoseconds in which the bucket refills by both.
local key, length = KEYS[1], tonumber(ARGV[2])
local more = tonumber(ARGV[5]) - tonumber(ARGV[4])
if length == 0 then
  local now = time[1] * 1000000 + time[2]
  local kept = redis.call('HMGET', key, 't', 'f')
  local at, full = tonumber(kept[1] or now), tonumber(kept[2] or 0)
  full = math.max(0, math.max(0, full - math.max(0, now - at) * 1000) + more)
  redis.call('HSET', key, 't', string.format('%.0f', now), 'f', string.format('%.0f', full))
  redis.call('PEXPIRE', key, math.ceil(full / 1000000) + 1000)
  return 0
end
local window = read(key, tonumber(ARGV[1]), length)
if more > 0 then
  add(window, more)
else
  remove(window, -more, tonumber(ARGV[3]))
end
return 0
