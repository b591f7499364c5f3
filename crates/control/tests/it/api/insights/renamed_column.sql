-- The events of a day cannot be exported any more; its brief can be read.
ALTER TABLE usage_events RENAME COLUMN trace_id TO trace_gone
