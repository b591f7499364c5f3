-- One row: how often users, keys and plans were changed. no_floor: numbers up to this one may be of users and keys that a
-- restored backup does not know; none of them is given. key_no: numbers of keys up to this one are given, or may be by who took them.
-- usage_from: rows of usage that were made before this moment may have been deleted by age.
CREATE TABLE revision (
    id         UUID   NOT NULL PRIMARY KEY,
    value      BIGINT NOT NULL,
    no_floor   BIGINT NOT NULL DEFAULT 0,
    key_no     BIGINT NOT NULL DEFAULT 0,
    usage_from BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
