-- What counted in windows of quotas that are no UTC day, week or month, one row a window and node. owner_id: of a user, its
-- number; of a subject without a user, its id; per: the shape of the window, as in budgets; begin_minute, end_minute: minutes since
-- the Unix epoch; the others as in daily_subjects.
CREATE TABLE window_usage (
    id             UUID   NOT NULL PRIMARY KEY,
    owner_id       UUID   NOT NULL,
    per            TEXT   NOT NULL,
    begin_minute   BIGINT NOT NULL,
    end_minute     BIGINT NOT NULL,
    node_id        UUID   NOT NULL,
    credits        BIGINT NOT NULL,
    charged_tokens BIGINT NOT NULL,
    charged_nano   BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    UNIQUE (owner_id, per, begin_minute, end_minute, node_id)
);

-- The window that is open on all nodes, of those that open with their first use. id: made of the owner and the shape.
CREATE TABLE open_windows (
    id           UUID   NOT NULL PRIMARY KEY,
    begin_minute BIGINT NOT NULL,
    end_minute   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE INDEX open_windows_end ON open_windows (end_minute);

-- Leases of windows: per is a shape of them too, and first_day their first minute.
ALTER TABLE lease_books DROP CONSTRAINT lease_books_per_check;
