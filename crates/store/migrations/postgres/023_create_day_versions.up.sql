-- Days whose figures changed after their end. version: the number of batches that changed the day.
CREATE TABLE day_versions (
    id         UUID NOT NULL PRIMARY KEY,
    day        BIGINT NOT NULL UNIQUE,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
-- The node's spool at its last report. spooled: records that are not in the store; oldest_unsent_at: the time of the oldest one;
-- ingest_lag_us: the delay between the end of a request and its storage.
ALTER TABLE nodes ADD COLUMN spooled BIGINT NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN oldest_unsent_at BIGINT;
ALTER TABLE nodes ADD COLUMN ingest_lag_us BIGINT NOT NULL DEFAULT 0;
