-- Credentials of providers. user_id: the owner; none is shared. sealed: nonce, ciphertext and tag of AES-256-GCM, bound to id and
-- owner; master: the fingerprint of the key it is sealed with.
CREATE TABLE provider_keys (
    id         BLOB NOT NULL PRIMARY KEY,
    user_id    BLOB REFERENCES users (id),
    provider   TEXT NOT NULL,
    label      TEXT NOT NULL,
    last4      TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    master     BLOB NOT NULL CHECK (length(master) = 16),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX provider_keys_own ON provider_keys (user_id, label) WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX provider_keys_shared ON provider_keys (label) WHERE user_id IS NULL;
-- Shared ones are read in this order with every change of the store, behind key look-ups that wait.
CREATE INDEX provider_keys_everybodys ON provider_keys (id) WHERE user_id IS NULL;

-- Master keys that this store has seen, by fingerprint; the newest that is not retired is in use.
CREATE TABLE master_keys (
    id          BLOB NOT NULL PRIMARY KEY,
    fingerprint BLOB NOT NULL UNIQUE CHECK (length(fingerprint) = 16),
    retired_at  BIGINT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
