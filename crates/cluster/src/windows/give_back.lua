-- Uncounts one request that was granted and not sent.
-- KEYS: the log or the bucket. ARGV: the time at which the request counts, the limit and the length of its window in
-- milliseconds; or 0 and the nanoseconds in which the bucket refills by one request.
local key = KEYS[1]
if ARGV[1] == '0' then
  local full = tonumber(redis.call('HGET', key, 'f') or 0)
  if full > 0 then
    redis.call('HSET', key, 'f', string.format('%.0f', math.max(0, full - tonumber(ARGV[2]))))
  end
  return 0
end
remove(read(key, tonumber(ARGV[2]), tonumber(ARGV[3])), 1, tonumber(ARGV[1]))
return 0
