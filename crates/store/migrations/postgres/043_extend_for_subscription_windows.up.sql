-- The time at which a subscription first became active; quotas may begin with its hour. Null for those that were active before.
ALTER TABLE subscriptions ADD COLUMN active_since BIGINT;
-- The windows in which a request counts: shape, first minute and end of each, as in `5h/first_use@29721345-29721645`; null without.
ALTER TABLE usage_events ADD COLUMN windows TEXT;
-- Budgets of users may have windows: per is a shape as in window_usage.
ALTER TABLE budgets DROP CONSTRAINT budgets_per_check;
