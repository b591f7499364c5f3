ALTER TABLE usage_events DROP COLUMN refused_limit;
