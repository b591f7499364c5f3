-- Requests with an Idempotency-Key that created or rotated a key, for 24 hours. hash: SHA-256 of the user, the operation and
-- the Idempotency-Key; request_hash: of the body; secret_hash: of the key that the last response contained.
CREATE TABLE key_requests (
    id           UUID   NOT NULL PRIMARY KEY,
    hash         BYTEA  NOT NULL UNIQUE CHECK (length(hash) = 32),
    request_hash BYTEA  NOT NULL CHECK (length(request_hash) = 32),
    secret_hash  BYTEA  NOT NULL CHECK (length(secret_hash) = 32),
    user_id      UUID   NOT NULL REFERENCES users (id),
    key_id       UUID   NOT NULL REFERENCES api_keys (id),
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE INDEX key_requests_time ON key_requests (created_at);
CREATE INDEX key_requests_user ON key_requests (user_id);
