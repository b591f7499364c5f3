-- Counts a request against one or several limits: against all, or against none if one is full (meter::window, in Redis).
-- KEYS: one count per limit. ARGV: for each key, the limit and the length of its window in milliseconds.
-- Returns the time of this clock in milliseconds, 1 (counted) or 0, then index, current and previous count of each limit.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local counts, admitted = {}, 1
for i, key in ipairs(KEYS) do
  local limit, length = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local index, elapsed = math.floor(now / length), now % length
  local kept = redis.call('HMGET', key, 'i', 'c', 'p')
  local at, current, previous = tonumber(kept[1] or 0), tonumber(kept[2] or 0), tonumber(kept[3] or 0)
  if at == index - 1 then
    current, previous = 0, current
  elseif at == index + 1 then
    index, elapsed = at, 0
  elseif at ~= index then
    current, previous = 0, 0
  end
  if current * length + previous * (length - elapsed) + length > limit * length then
    admitted = 0
  end
  counts[i] = {index, current, previous, length}
end
local answer = {now, admitted}
for i, key in ipairs(KEYS) do
  local index, current, previous, length = unpack(counts[i])
  if admitted == 1 then
    current = current + 1
    redis.call('HSET', key, 'i', index, 'c', current, 'p', previous)
    redis.call('PEXPIRE', key, 2 * length)
  end
  answer[#answer + 1] = index
  answer[#answer + 1] = current
  answer[#answer + 1] = previous
end
return answer
