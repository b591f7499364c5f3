-- Requests that reached no upstream remain in the results of totals, because older binaries have no counts of them.
DELETE FROM usage_counts WHERE status_class >= 10;
DELETE FROM daily_routes WHERE user_no = 0;
DELETE FROM hourly_usage WHERE user_no = 0;
UPDATE schema_floor SET version = 21;
