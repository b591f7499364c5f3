-- Grants requests of a token bucket to a node, which counts them at once (meter::rate, in Redis).
-- KEYS: the bucket. ARGV: the requests that may arrive at once, the nanoseconds in which the bucket refills by one request,
-- the number of requests that the node wants, and a divisor: a grant is at most the rest divided by it, but at least one
-- request if one is left.
-- Returns the number of granted requests, and the nanoseconds until the bucket is full.
local key, burst, interval = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.min(read_bucket(key), burst * interval)
local left = math.floor((burst * interval - full) / interval)
local granted = 0
if left > 0 then
  granted = math.min(tonumber(ARGV[3]), math.max(1, math.floor(left / tonumber(ARGV[4]))))
  full = full + granted * interval
  store_bucket(key, full)
end
return {granted, full}
