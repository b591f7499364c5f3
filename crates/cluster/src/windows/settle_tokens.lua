-- Replaces the tokens that a call has reserved by those that it has used (meter::limiter::tokens, in Redis).
-- KEYS: the log or the bucket. ARGV: the limit, the length of its window in milliseconds, the time at which the reservation
-- counts, the reserved and the used tokens; or 0, 0, 0 and the nanoseconds in which the bucket refills by both.
local key, length = KEYS[1], tonumber(ARGV[2])
local more = tonumber(ARGV[5]) - tonumber(ARGV[4])
if length == 0 then
  store_bucket(key, math.max(0, read_bucket(key) + more))
  return 0
end
local window = read(key, tonumber(ARGV[1]), length)
if more > 0 then
  add(window, more)
else
  remove(window, -more, tonumber(ARGV[3]))
end
return 0
