-- What counted in windows of quotas that are no UTC day, week or month, one row a window and node. owner_id: of a user, its
-- number; of a subject without a user, its id; per: the shape of the window, as in budgets; begin_minute, end_minute: minutes since
-- the Unix epoch; the others as in daily_subjects.
CREATE TABLE window_usage (
    id             BLOB   NOT NULL PRIMARY KEY,
    owner_id       BLOB   NOT NULL,
    per            TEXT   NOT NULL,
    begin_minute   BIGINT NOT NULL,
    end_minute     BIGINT NOT NULL,
    node_id        BLOB   NOT NULL,
    credits        BIGINT NOT NULL,
    charged_tokens BIGINT NOT NULL,
    charged_nano   BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    UNIQUE (owner_id, per, begin_minute, end_minute, node_id)
);

-- The window that is open on all nodes, of those that open with their first use. id: made of the owner and the shape.
CREATE TABLE open_windows (
    id           BLOB   NOT NULL PRIMARY KEY,
    begin_minute BIGINT NOT NULL,
    end_minute   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE INDEX open_windows_end ON open_windows (end_minute);

-- Leases of windows: per is a shape of them too, and first_day their first minute.
CREATE TABLE lease_books_new (
    id            BLOB   NOT NULL PRIMARY KEY,
    scope       TEXT   NOT NULL CHECK (scope IN ('key', 'user', 'subject', 'plan', 'everybody')),
    scope_no    BIGINT NOT NULL,
    scope_id      BLOB,
    measure       TEXT   NOT NULL CHECK (measure IN ('credits', 'tokens', 'money')),
    per           TEXT   NOT NULL,
    first_day     BIGINT NOT NULL,
    ends_at       BIGINT NOT NULL,
    carried       BIGINT,
    most          BIGINT NOT NULL,
    recall        BIGINT NOT NULL,
    pressed_id    BLOB,
    pressed_until BIGINT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);
INSERT INTO lease_books_new SELECT * FROM lease_books;
DROP TABLE lease_books;
ALTER TABLE lease_books_new RENAME TO lease_books;
CREATE INDEX lease_books_end ON lease_books (ends_at);
