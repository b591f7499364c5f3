-- hash: SHA-256 of the whole key, 32 bytes; previous_hash: of the secret before the last rotation, which opens the key until
-- previous_until. routes, models, addresses: JSON lists of what the key is bound to; none is no bound.
CREATE TABLE api_keys (
    id                  BLOB NOT NULL PRIMARY KEY,
    no                  BIGINT NOT NULL UNIQUE,
    user_id             BLOB NOT NULL REFERENCES users (id),
    label               TEXT NOT NULL,
    hash                BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    prefix              TEXT NOT NULL,
    last4               TEXT NOT NULL,
    previous_hash       BLOB CHECK (length(previous_hash) = 32),
    previous_last4      TEXT,
    previous_until      BIGINT,
    previous_used_at    BIGINT,
    credits_per_day     BIGINT CHECK (credits_per_day >= 0),
    requests_per_minute BIGINT CHECK (requests_per_minute > 0),
    routes              TEXT,
    models              TEXT,
    addresses           TEXT,
    used_at             BIGINT,
    expires_at          BIGINT,
    revoked_at          BIGINT,
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL
);
-- Most keys have no secret before theirs, and most of a user's pages are of keys that are not revoked.
CREATE UNIQUE INDEX api_keys_previous ON api_keys (previous_hash) WHERE previous_hash IS NOT NULL;
CREATE INDEX api_keys_user ON api_keys (user_id, id);
CREATE INDEX api_keys_open ON api_keys (user_id, id) WHERE revoked_at IS NULL;
