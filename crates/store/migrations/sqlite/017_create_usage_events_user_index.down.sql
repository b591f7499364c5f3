DROP INDEX usage_events_user;
CREATE INDEX usage_events_user ON usage_events (user_no, started_at, id);
