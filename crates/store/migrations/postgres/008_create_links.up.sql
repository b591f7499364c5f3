-- One-time links: to sign up, to choose a password, to become the first admin. user_id: whose password; made_by_id: the admin.
CREATE TABLE links (
    id         UUID NOT NULL PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('invite', 'password', 'first_admin')),
    hash       BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
    user_id    UUID REFERENCES users (id),
    email      TEXT COLLATE "C",
    plan_id    UUID REFERENCES plans (id),
    made_by_id UUID REFERENCES users (id),
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX links_open ON links (user_id) WHERE used_at IS NULL;
