ALTER TABLE nodes DROP COLUMN ingest_lag_us;
ALTER TABLE nodes DROP COLUMN oldest_unsent_at;
ALTER TABLE nodes DROP COLUMN spooled;
DROP TABLE day_versions;
