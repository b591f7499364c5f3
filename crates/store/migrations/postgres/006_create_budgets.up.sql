-- What a subject may use of a measure in a period. subject_id: the id of the key, the user or the plan; everybody's is nil.
CREATE TABLE budgets (
    id         UUID NOT NULL PRIMARY KEY,
    subject    TEXT NOT NULL CHECK (subject IN ('key', 'user', 'plan', 'global')),
    subject_id UUID NOT NULL,
    measure    TEXT NOT NULL CHECK (measure IN ('credits', 'tokens', 'money')),
    per        TEXT NOT NULL CHECK (per IN ('day', 'month')),
    amount     BIGINT NOT NULL CHECK (amount >= 0),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (subject_id, subject, measure, per)
);
