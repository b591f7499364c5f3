-- Credits of usage and of leases in micro-credits: millionths of a credit. Limits (plans, keys, budgets) stay in credits. Older
-- binaries would write credits in place of micro-credits.
UPDATE schema_floor SET version = 44;
UPDATE daily_usage SET credits = least(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE daily_plans SET credits = least(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE daily_subjects SET credits = least(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE daily_models SET credits = least(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE daily_routes SET credits = least(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE daily_labels SET credits = least(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE hourly_usage SET credits = least(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE window_usage SET credits = least(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE usage_counts SET credits = least(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE usage_events SET credits = least(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE leases SET granted = least(granted, 9223372036854) * 1000000, used = least(used, 9223372036854) * 1000000, spent = least(spent, 9223372036854) * 1000000, base = least(base, 9223372036854) * 1000000
    WHERE book_id IN (SELECT id FROM lease_books WHERE measure = 'credits');
UPDATE lease_books SET carried = CASE WHEN carried IS NOT NULL THEN least(carried, 9223372036854) * 1000000 END, most = least(most, 9223372036854) * 1000000
    WHERE measure = 'credits';
