-- What a scope may use of a measure in a period. scope_id: the id of the key, the user or the plan; everybody's is nil.
CREATE TABLE budgets (
    id         UUID NOT NULL PRIMARY KEY,
    scope    TEXT NOT NULL CHECK (scope IN ('key', 'user', 'plan', 'global')),
    scope_id UUID NOT NULL,
    measure    TEXT NOT NULL CHECK (measure IN ('credits', 'tokens', 'money')),
    per        TEXT NOT NULL CHECK (per IN ('day', 'month')),
    amount     BIGINT NOT NULL CHECK (amount >= 0),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (scope_id, scope, measure, per)
);
