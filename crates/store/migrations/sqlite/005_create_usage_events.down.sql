DROP TABLE usage_raw;
DROP TABLE usage_counts;
DROP TABLE usage_attempts;
DROP TABLE usage_events;
DROP TABLE subjects;
DROP TABLE names;
