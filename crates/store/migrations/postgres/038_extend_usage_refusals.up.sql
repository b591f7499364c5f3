-- The limit that refused a request, as it was then: [owner, unit, rule, seconds of its window, maximum, used, requested, microsecond
-- at which it is unused again]; owner and unit: numbers of meter::LimitOwner and meter::LimitUnit. NULL if no limit has.
ALTER TABLE usage_events ADD COLUMN refused_limit TEXT;
