-- Roles of users beside those of users.role. label: the label as NAME=VALUE that the role is limited to; empty: everywhere, as NULLs
-- would not be unique.
CREATE TABLE grants (
    id         BLOB NOT NULL PRIMARY KEY,
    user_id    BLOB NOT NULL REFERENCES users (id),
    role       TEXT NOT NULL,
    label      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (user_id, role, label)
);

-- The settings of insights, one row per change; the greatest number is in force. settings: JSON.
CREATE TABLE insight_settings (
    id            BLOB NOT NULL PRIMARY KEY,
    number        BIGINT NOT NULL UNIQUE,
    settings      TEXT NOT NULL,
    actor_user_id BLOB,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);

-- Decisions of roles on the figures of a day. scope: all; figures_version: of day_versions; figures: the decided figures, JSON.
CREATE TABLE reviews (
    id              BLOB NOT NULL PRIMARY KEY,
    day             BIGINT NOT NULL,
    scope           TEXT NOT NULL,
    role            TEXT NOT NULL,
    user_id         BLOB NOT NULL REFERENCES users (id),
    approve         BOOLEAN NOT NULL,
    comment         TEXT,
    figures_version BIGINT NOT NULL,
    figures         TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (day, scope, role, user_id, figures_version)
);
