-- Purges of stored responses, which every node applies in the order of their numbers. kind: url, prefix, tag, or none for the
-- first row, which purges nothing. The newest 1,000 remain.
CREATE TABLE cache_purges (
    id         BLOB    NOT NULL PRIMARY KEY,
    no         BIGINT  NOT NULL UNIQUE,
    kind       TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    soft       BOOLEAN NOT NULL,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL
);
