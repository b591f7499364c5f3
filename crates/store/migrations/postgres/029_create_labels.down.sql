DROP TABLE daily_labels;
CREATE TABLE unlabelled_counts (
    id           UUID NOT NULL PRIMARY KEY,
    user_no      BIGINT NOT NULL,
    key_no       BIGINT NOT NULL,
    subject_no   BIGINT NOT NULL,
    route_no     BIGINT NOT NULL,
    status_class BIGINT NOT NULL,
    minute       BIGINT NOT NULL,
    day          BIGINT NOT NULL,
    requests     BIGINT NOT NULL,
    credits      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    UNIQUE (key_no, subject_no, route_no, status_class, minute, day)
);
INSERT INTO unlabelled_counts (id, user_no, key_no, subject_no, route_no, status_class, minute, day, requests, credits, created_at, updated_at)
SELECT CAST(min(CAST(id AS TEXT)) AS UUID), max(user_no), key_no, subject_no, route_no, status_class, minute, day, CAST(sum(requests) AS BIGINT),
    CAST(sum(credits) AS BIGINT), min(created_at), max(updated_at)
FROM usage_counts GROUP BY key_no, subject_no, route_no, status_class, minute, day;
DROP TABLE usage_counts;
ALTER TABLE unlabelled_counts RENAME TO usage_counts;
ALTER INDEX unlabelled_counts_pkey RENAME TO usage_counts_pkey;
CREATE INDEX usage_counts_user ON usage_counts (user_no, minute);
CREATE INDEX usage_counts_minute ON usage_counts (minute);

DROP TABLE label_members;
DROP TABLE label_sets;
ALTER TABLE api_keys DROP COLUMN labels;
ALTER TABLE users DROP COLUMN labels;
UPDATE schema_floor SET version = 22;
