-- Takes the tokens that a call reserves from a bucket, if they fit (meter::limiter::tokens, in Redis).
-- KEYS: the bucket. ARGV: the nanoseconds in which the whole bucket refills, and those for the tokens.
-- The bucket is the time of this clock in microseconds ('t'), and the nanoseconds until it is full ('f').
-- Returns the time of this clock in microseconds, 1 (taken) or 0, and the nanoseconds until the bucket is full.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local key, burst, cost = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', key, 't', 'f')
local at, full = tonumber(kept[1] or now), tonumber(kept[2] or 0)
full = math.max(0, full - math.max(0, now - at) * 1000)
local admitted = 0
if full + cost <= burst then
  admitted, full = 1, full + cost
  redis.call('HSET', key, 't', string.format('%.0f', now), 'f', string.format('%.0f', full))
  redis.call('PEXPIRE', key, math.ceil(full / 1000000) + 1000)
end
return {now, admitted, full}
