-- One sign-in. key_id: the key that it was made with. Ended is what signed out, was ended, or whose family's token was used twice.
CREATE TABLE sessions (
    id         UUID NOT NULL PRIMARY KEY,
    user_id    UUID NOT NULL REFERENCES users (id),
    key_id     UUID REFERENCES api_keys (id),
    address    TEXT,
    agent      TEXT,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at   BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX sessions_open ON sessions (user_id, id) WHERE ended_at IS NULL;
CREATE INDEX sessions_expires ON sessions (expires_at);

-- The family of a session: at most one that is not used. hash: SHA-256, 32 bytes.
CREATE TABLE refresh_tokens (
    id         UUID NOT NULL PRIMARY KEY,
    session_id UUID NOT NULL REFERENCES sessions (id),
    hash       BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
    used_at    BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
