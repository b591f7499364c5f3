-- Uncounts one request that was granted and not sent.
-- KEYS: the count or the bucket. ARGV: the number of the window in which the request counts, or 0 and the nanoseconds in
-- which the bucket refills by one request.
local key = KEYS[1]
if ARGV[1] == '0' then
  local full = tonumber(redis.call('HGET', key, 'f') or 0)
  if full > 0 then
    redis.call('HSET', key, 'f', string.format('%.0f', math.max(0, full - tonumber(ARGV[2]))))
  end
  return 0
end
local kept = redis.call('HMGET', key, 'i', 'c', 'p')
local ahead = tonumber(kept[1] or -1) - tonumber(ARGV[1])
local field = ahead == 0 and 'c' or ahead == 1 and 'p'
if field and tonumber(redis.call('HGET', key, field) or 0) > 0 then
  redis.call('HINCRBY', key, field, -1)
end
return 0
