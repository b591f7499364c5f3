-- The index of a user's requests with what percentiles of durations read, so that they read no rows of the table.
DROP INDEX usage_events_user;
CREATE INDEX usage_events_user ON usage_events (user_no, started_at, id, key_no, model_no, route_no, format, attempts, duration_us);
