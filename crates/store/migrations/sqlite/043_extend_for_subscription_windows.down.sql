DELETE FROM budgets WHERE per NOT IN ('day', 'week', 'month');
CREATE TABLE budgets_new (
    id         BLOB NOT NULL PRIMARY KEY,
    scope    TEXT NOT NULL CHECK (scope IN ('key', 'user', 'plan', 'global')),
    scope_id BLOB NOT NULL,
    measure    TEXT NOT NULL CHECK (measure IN ('credits', 'tokens', 'money')),
    per        TEXT NOT NULL CHECK (per IN ('day', 'week', 'month')),
    amount     BIGINT NOT NULL CHECK (amount >= 0),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (scope_id, scope, measure, per)
);
INSERT INTO budgets_new SELECT * FROM budgets;
DROP TABLE budgets;
ALTER TABLE budgets_new RENAME TO budgets;
ALTER TABLE usage_events DROP COLUMN windows;
ALTER TABLE subscriptions DROP COLUMN active_since;
