-- Takes the tokens that a call reserves from a bucket, if they fit (meter::limiter::tokens, in Redis).
-- KEYS: the bucket. ARGV: the nanoseconds in which the whole bucket refills, and those for the tokens.
-- Returns the time of this clock in microseconds, 1 (taken) or 0, and the nanoseconds until the bucket is full.
local key, burst, cost = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local admitted, full = 0, read_bucket(key)
if full + cost <= burst then
  admitted, full = 1, full + cost
  store_bucket(key, full)
end
return {clock_us, admitted, full}
