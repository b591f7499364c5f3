-- A token bucket: the time of this clock in microseconds ('t'), and the nanoseconds until it is full ('f').

-- Returns the nanoseconds until a bucket is full.
local function read_bucket(key)
  local kept = redis.call('HMGET', key, 't', 'f')
  local at, full = tonumber(kept[1] or clock_us), tonumber(kept[2] or 0)
  return math.max(0, full - math.max(0, clock_us - at) * 1000)
end

local function store_bucket(key, full)
  redis.call('HSET', key, 't', string.format('%.0f', clock_us), 'f', string.format('%.0f', full))
  redis.call('PEXPIRE', key, math.ceil(full / 1000000) + 1000)
end

