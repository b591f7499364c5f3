-- password: Argon2id in PHC form; none for who signs in by key alone.
CREATE TABLE users (
    id         UUID    NOT NULL PRIMARY KEY,
    no         BIGINT  NOT NULL UNIQUE,
    email      TEXT COLLATE "C" NOT NULL UNIQUE,
    name       TEXT COLLATE "C" NOT NULL,
    plan_id    UUID    NOT NULL REFERENCES plans (id),
    status     TEXT    NOT NULL CHECK (status IN ('active', 'suspended')),
    role       TEXT    NOT NULL CHECK (role IN ('admin', 'member')),
    password   TEXT,
    demo       BOOLEAN NOT NULL,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL
);
CREATE INDEX users_status ON users (status, no);
