DROP TABLE open_windows;
DROP TABLE window_usage;
DELETE FROM leases WHERE book_id IN (SELECT id FROM lease_books WHERE per NOT IN ('day', 'week', 'month'));
DELETE FROM lease_books WHERE per NOT IN ('day', 'week', 'month');
CREATE TABLE lease_books_new (
    id            BLOB   NOT NULL PRIMARY KEY,
    scope       TEXT   NOT NULL CHECK (scope IN ('key', 'user', 'subject', 'plan', 'everybody')),
    scope_no    BIGINT NOT NULL,
    scope_id      BLOB,
    measure       TEXT   NOT NULL CHECK (measure IN ('credits', 'tokens', 'money')),
    per           TEXT   NOT NULL CHECK (per IN ('day', 'week', 'month')),
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
