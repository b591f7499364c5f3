-- The time at which a subscription first became active; quotas may begin with its hour. Null for those that were active before.
ALTER TABLE subscriptions ADD COLUMN active_since BIGINT;
-- The windows in which a request counts: shape, first minute and end of each, as in `5h/first_use@29721345-29721645`; null without.
ALTER TABLE usage_events ADD COLUMN windows TEXT;
-- Budgets of users may have windows: per is a shape as in window_usage.
CREATE TABLE budgets_new (
    id         BLOB NOT NULL PRIMARY KEY,
    scope    TEXT NOT NULL CHECK (scope IN ('key', 'user', 'plan', 'global')),
    scope_id BLOB NOT NULL,
    measure    TEXT NOT NULL CHECK (measure IN ('credits', 'tokens', 'money')),
    per        TEXT NOT NULL,
    amount     BIGINT NOT NULL CHECK (amount >= 0),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (scope_id, scope, measure, per)
);
INSERT INTO budgets_new SELECT * FROM budgets;
DROP TABLE budgets;
ALTER TABLE budgets_new RENAME TO budgets;
