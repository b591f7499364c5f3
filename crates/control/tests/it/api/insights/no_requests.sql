-- As the retention of requests does.
DELETE FROM usage_events
