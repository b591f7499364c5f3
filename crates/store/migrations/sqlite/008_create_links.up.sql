-- One-time links: to sign up, to choose a password, to become the first admin. user_id: whose password; made_by_id: the admin.
CREATE TABLE links (
    id         BLOB NOT NULL PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('invite', 'password', 'first_admin')),
    hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    user_id    BLOB REFERENCES users (id),
    email      TEXT,
    plan_id    BLOB REFERENCES plans (id),
    made_by_id BLOB REFERENCES users (id),
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX links_open ON links (user_id) WHERE used_at IS NULL;
