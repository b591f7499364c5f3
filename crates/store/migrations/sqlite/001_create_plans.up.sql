-- Times are microseconds since the Unix epoch, days whole days since then, both UTC, bound by the binary.
-- Users, keys and plans are never deleted: usage speaks of them by number, and a number is not given twice.

-- budgets: a JSON list of what holds each user beside the quota.
CREATE TABLE plans (
    id                  BLOB    NOT NULL PRIMARY KEY,
    name                TEXT    NOT NULL UNIQUE,
    credits_per_day     BIGINT  CHECK (credits_per_day >= 0),
    requests_per_minute BIGINT  CHECK (requests_per_minute > 0),
    budgets             TEXT    NOT NULL,
    shared_keys         BOOLEAN NOT NULL,
    created_at          BIGINT  NOT NULL,
    updated_at          BIGINT  NOT NULL
);

-- Here, because every database with a migration needs it.
-- One row: the oldest migration that a binary must know to run on this store. One that only adds leaves it; one that takes
-- away what older binaries use raises it.
CREATE TABLE schema_floor (
    id         BLOB   NOT NULL PRIMARY KEY,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
INSERT INTO schema_floor (id, version, created_at, updated_at)
VALUES (x'ffffffffffffffffffffffffffffffff', 1, unixepoch() * 1000000, unixepoch() * 1000000);
