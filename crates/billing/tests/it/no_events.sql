DELETE FROM usage_events;
