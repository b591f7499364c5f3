-- What a sliding window has counted, and when (meter::window, in Redis): a list of times of this clock in milliseconds, each
-- with the number that counts then. The scripts of windows begin with these functions.

-- Returns what still counts in the window of a key. If this clock went back by at most one window, time stands still.
local function read(key, limit, length)
  local kept = redis.call('GET', key)
  kept = kept and cmsgpack.unpack(kept) or {}
  local window = {key = key, limit = limit, length = length, now = clock, log = {}, used = 0}
  local last = kept[#kept - 1]
  if last and last > clock + length then
    return window
  end
  window.now = math.max(clock, last or 0)
  for i = 1, #kept, 2 do
    if kept[i] + length > window.now then
      window.log[#window.log + 1] = kept[i]
      window.log[#window.log + 1] = kept[i + 1]
      window.used = window.used + kept[i + 1]
    end
  end
  return window
end

-- Returns the number of the part of a window that counts together.
local function part(window, at)
  return math.floor(at / (window.limit <= 100 and 1 or math.ceil(window.length / 100)))
end

local function store(window)
  local key, length = window.key, window.length
  if #window.log == 0 then
    redis.call('DEL', key)
    return
  end
  redis.call('SET', key, cmsgpack.pack(window.log))
  redis.call('PEXPIRE', key, 2 * length)
end

-- Counts requests or tokens.
local function add(window, count)
  local log, now = window.log, window.now
  if count > 0 then
    if #log > 0 and (part(window, log[#log - 1]) == part(window, now) or #log >= 256) then
      log[#log - 1], log[#log] = now, log[#log] + count
    else
      log[#log + 1] = now
      log[#log + 1] = count
    end
    window.used = window.used + count
  end
  store(window)
end

-- Removes what was counted at a time, unless it has left the window.
local function remove(window, count, at)
  local log = window.log
  for i = 1, #log, 2 do
    if log[i] >= at and part(window, log[i]) == part(window, at) then
      log[i + 1] = math.max(0, log[i + 1] - count)
      if log[i + 1] == 0 then
        table.remove(log, i)
        table.remove(log, i)
      end
      store(window)
      return
    end
  end
end

-- Returns the time until at most a number counts.
local function wait(window, room)
  local used, left = window.used, 0
  for i = 1, #window.log, 2 do
    if used <= room then
      break
    end
    used = used - window.log[i + 1]
    left = window.log[i] + window.length - window.now
  end
  return left
end

-- Returns the number that may still count, and the time until the first of the log leaves the window.
local function level(window)
  local first = window.log[1]
  return math.max(0, window.limit - window.used), first and first + window.length - window.now or 0
end
