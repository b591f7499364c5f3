-- Keys that sign exports. public_key: hex digits; sealed: the private key under the master key whose fingerprint is master.
CREATE TABLE signing_keys (
    id         BLOB NOT NULL PRIMARY KEY,
    public_key TEXT NOT NULL UNIQUE,
    sealed     BLOB NOT NULL,
    master     BLOB NOT NULL,
    retired_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
