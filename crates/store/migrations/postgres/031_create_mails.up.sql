-- Mails that wait or were sent. occasion: the time of a change that one object may have several times, otherwise 0.
-- state: sending means that the server may have the message; unknown, that the connection or the process ended before the
-- response. next_at: the earliest time of the next attempt.
CREATE TABLE mails (
    id         UUID   NOT NULL PRIMARY KEY,
    kind       TEXT   NOT NULL,
    object_id  UUID   NOT NULL,
    occasion   BIGINT NOT NULL,
    user_id    UUID   NOT NULL REFERENCES users (id),
    language   TEXT   NOT NULL CHECK (language IN ('en', 'id')),
    state      TEXT   NOT NULL CHECK (state IN ('waiting', 'sending', 'sent', 'failed', 'unknown', 'dropped')),
    attempts   BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    error      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (kind, object_id, occasion)
);
CREATE INDEX mails_waiting ON mails (next_at, id) WHERE state IN ('waiting', 'sending');
CREATE INDEX mails_user ON mails (user_id, id);

-- The customer on invoices, and the language of documents and mails.
CREATE TABLE billing_profiles (
    id         UUID   NOT NULL PRIMARY KEY,
    user_id    UUID   NOT NULL UNIQUE REFERENCES users (id),
    name       TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    tax_number TEXT   NOT NULL,
    language   TEXT   NOT NULL CHECK (language IN ('en', 'id')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
