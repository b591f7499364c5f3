-- Notes that a node serves requests, and counts the nodes that have noted it lately.
-- KEYS: the nodes. ARGV: the id of the node, and the milliseconds after which a node counts as stopped.
-- Returns the number of nodes.
redis.call('ZADD', KEYS[1], clock, ARGV[1])
-- Also removes times in the future, which a jump of this clock has left.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', clock - tonumber(ARGV[2]))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', clock), '+inf')
redis.call('PEXPIRE', KEYS[1], 2 * tonumber(ARGV[2]))
return redis.call('ZCARD', KEYS[1])
