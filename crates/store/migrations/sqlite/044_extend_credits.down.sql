-- Fractions of a credit are lost.
UPDATE schema_floor SET version = 29;
UPDATE daily_usage SET credits = credits / 1000000 WHERE credits <> 0;
UPDATE daily_plans SET credits = credits / 1000000 WHERE credits <> 0;
UPDATE daily_subjects SET credits = credits / 1000000 WHERE credits <> 0;
UPDATE daily_models SET credits = credits / 1000000 WHERE credits <> 0;
UPDATE daily_routes SET credits = credits / 1000000 WHERE credits <> 0;
UPDATE daily_labels SET credits = credits / 1000000 WHERE credits <> 0;
UPDATE hourly_usage SET credits = credits / 1000000 WHERE credits <> 0;
UPDATE window_usage SET credits = credits / 1000000 WHERE credits <> 0;
UPDATE usage_counts SET credits = credits / 1000000 WHERE credits <> 0;
UPDATE usage_events SET credits = credits / 1000000 WHERE credits <> 0;
UPDATE leases SET granted = granted / 1000000, used = used / 1000000, spent = spent / 1000000, base = base / 1000000
    WHERE book_id IN (SELECT id FROM lease_books WHERE measure = 'credits');
UPDATE lease_books SET carried = carried / 1000000, most = most / 1000000
    WHERE measure = 'credits';
