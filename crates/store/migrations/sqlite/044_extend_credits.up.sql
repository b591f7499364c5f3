-- Credits of usage and of leases in micro-credits: millionths of a credit. Limits (plans, keys, budgets) stay in credits. Older
-- binaries would write credits in place of micro-credits.
UPDATE schema_floor SET version = 44;
UPDATE daily_usage SET credits = min(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE daily_plans SET credits = min(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE daily_subjects SET credits = min(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE daily_models SET credits = min(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE daily_routes SET credits = min(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE daily_labels SET credits = min(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE hourly_usage SET credits = min(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE window_usage SET credits = min(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE usage_counts SET credits = min(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE usage_events SET credits = min(credits, 9223372036854) * 1000000 WHERE credits <> 0;
UPDATE leases SET granted = min(granted, 9223372036854) * 1000000, used = min(used, 9223372036854) * 1000000, spent = min(spent, 9223372036854) * 1000000, base = min(base, 9223372036854) * 1000000
    WHERE book_id IN (SELECT id FROM lease_books WHERE measure = 'credits');
UPDATE lease_books SET carried = min(carried, 9223372036854) * 1000000, most = min(most, 9223372036854) * 1000000
    WHERE measure = 'credits';
