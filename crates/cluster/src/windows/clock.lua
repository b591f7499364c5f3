-- The time of this clock, in microseconds and in milliseconds. Each script that needs it begins with these lines.
local time = redis.call('TIME')
local clock_us = time[1] * 1000000 + time[2]
local clock = math.floor(clock_us / 1000)

