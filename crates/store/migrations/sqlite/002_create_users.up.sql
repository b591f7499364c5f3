-- password: Argon2id in PHC form; none for who signs in by key alone.
CREATE TABLE users (
    id         BLOB    NOT NULL PRIMARY KEY,
    no         BIGINT  NOT NULL UNIQUE,
    email      TEXT    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    plan_id    BLOB    NOT NULL REFERENCES plans (id),
    status     TEXT    NOT NULL CHECK (status IN ('active', 'suspended')),
    role       TEXT    NOT NULL CHECK (role IN ('admin', 'member')),
    password   TEXT,
    demo       BOOLEAN NOT NULL,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL
);
CREATE INDEX users_status ON users (status, no);
