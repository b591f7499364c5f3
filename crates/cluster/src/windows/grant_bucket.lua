-- Grants requests of a token bucket to a node, which counts them at once (meter::rate, in Redis).
-- KEYS: the bucket. ARGV: the requests that may arrive at once, the nanoseconds in which the bucket refills by one request,
-- the number of requests that the node wants, and a divisor: a grant is at most the rest divided by it, but at least one
-- request if one is left.
-- The bucket is the time of this clock in microseconds ('t'), and the nanoseconds until it is full ('f').
-- Returns the number of granted requests, and the nanoseconds until the bucket is full.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local key, burst, interval = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', key, 't', 'f')
local at, full = tonumber(kept[1] or now), tonumber(kept[2] or 0)
full = math.min(math.max(0, full - math.max(0, now - at) * 1000), burst * interval)
local left = math.floor((burst * interval - full) / interval)
local granted = 0
if left > 0 then
  granted = math.min(tonumber(ARGV[3]), math.max(1, math.floor(left / tonumber(ARGV[4]))))
  full = full + granted * interval
  redis.call('HSET', key, 't', string.format('%.0f', now), 'f', string.format('%.0f', full))
  redis.call('PEXPIRE', key, math.ceil(full / 1000000) + 1000)
end
return {granted, full}
