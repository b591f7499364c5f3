DELETE FROM budgets WHERE per NOT IN ('day', 'week', 'month');
ALTER TABLE budgets ADD CONSTRAINT budgets_per_check CHECK (per IN ('day', 'week', 'month'));
ALTER TABLE usage_events DROP COLUMN windows;
ALTER TABLE subscriptions DROP COLUMN active_since;
