-- Background jobs that one node runs at a time, one row a job, with the claim of its owner and its last run. claimed_until: 0 after
-- the run; next_run_at: no node may claim the job before; runs: those that ended, of which failures did not succeed.
CREATE TABLE jobs (
    id               BLOB   NOT NULL PRIMARY KEY,
    name             TEXT   NOT NULL UNIQUE,
    node_id          BLOB   NOT NULL,
    incarnation      BIGINT NOT NULL,
    claimed_at       BIGINT NOT NULL,
    claimed_until    BIGINT NOT NULL,
    next_run_at      BIGINT NOT NULL,
    last_node_id     BLOB,
    last_started_at  BIGINT,
    last_duration_us BIGINT,
    last_outcome     TEXT,
    last_error       TEXT,
    last_success_at  BIGINT,
    runs             BIGINT NOT NULL,
    failures         BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);
