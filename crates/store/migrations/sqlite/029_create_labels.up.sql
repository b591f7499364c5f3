-- Labels of keys, users and routes (team=payments). Older binaries add to no totals by label
-- and insert counts under another key, so this migration raises the floor.
UPDATE schema_floor SET version = 29;

-- labels: NAME=VALUE,NAME=VALUE in the order of the names; NULL without labels.
ALTER TABLE users ADD COLUMN labels TEXT;
ALTER TABLE api_keys ADD COLUMN labels TEXT;

-- Sets of labels that requests were made under, by number: at most 1,000. The number 0 is the set without labels, and -1 the sets
-- beyond them.
CREATE TABLE label_sets (
    id         BLOB NOT NULL PRIMARY KEY,
    no         BIGINT NOT NULL UNIQUE,
    labels     TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- The labels of each set. label_id: made of name and value.
CREATE TABLE label_members (
    id           BLOB NOT NULL PRIMARY KEY,
    label_id     BLOB NOT NULL,
    name         TEXT NOT NULL,
    value        TEXT NOT NULL,
    label_set_no BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    UNIQUE (label_id, label_set_no)
);
CREATE INDEX label_members_set ON label_members (label_set_no, name);
CREATE INDEX label_members_name ON label_members (name, value, label_set_no);

-- Counts by label set too.
CREATE TABLE labelled_counts (
    id           BLOB NOT NULL PRIMARY KEY,
    user_no      BIGINT NOT NULL,
    key_no       BIGINT NOT NULL,
    subject_no   BIGINT NOT NULL,
    route_no     BIGINT NOT NULL,
    status_class BIGINT NOT NULL,
    minute       BIGINT NOT NULL,
    day          BIGINT NOT NULL,
    label_set_no BIGINT NOT NULL,
    requests     BIGINT NOT NULL,
    credits      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    UNIQUE (key_no, subject_no, route_no, status_class, minute, day, label_set_no)
);
INSERT INTO labelled_counts (id, user_no, key_no, subject_no, route_no, status_class, minute, day, label_set_no, requests, credits,
    created_at, updated_at)
SELECT id, user_no, key_no, subject_no, route_no, status_class, minute, day, 0, requests, credits, created_at, updated_at FROM usage_counts;
DROP TABLE usage_counts;
ALTER TABLE labelled_counts RENAME TO usage_counts;
CREATE INDEX usage_counts_user ON usage_counts (user_no, minute);
CREATE INDEX usage_counts_minute ON usage_counts (minute);

-- Totals by label set, user and model. model_no: as in hourly_usage; user_no: 0 without a user.
CREATE TABLE daily_labels (
    id                       BLOB NOT NULL PRIMARY KEY,
    day                      BIGINT NOT NULL,
    label_set_no             BIGINT NOT NULL,
    user_no                  BIGINT NOT NULL,
    model_no                 BIGINT NOT NULL,
    requests                 BIGINT NOT NULL,
    succeeded                BIGINT NOT NULL,
    refused                  BIGINT NOT NULL,
    errors                   BIGINT NOT NULL,
    credits                  BIGINT NOT NULL,
    input_tokens             BIGINT NOT NULL,
    cached_input_tokens      BIGINT NOT NULL,
    cache_write_short_tokens BIGINT NOT NULL,
    cache_write_long_tokens  BIGINT NOT NULL,
    output_tokens            BIGINT NOT NULL,
    reasoning_tokens         BIGINT NOT NULL,
    cost_nano                BIGINT NOT NULL,
    unpriced_requests        BIGINT NOT NULL,
    timed_requests           BIGINT NOT NULL,
    duration_us              BIGINT NOT NULL,
    created_at               BIGINT NOT NULL,
    updated_at               BIGINT NOT NULL,
    UNIQUE (day, label_set_no, user_no, model_no)
);
CREATE INDEX daily_labels_user ON daily_labels (user_no, day);

-- Requests that are stored already have no labels. Their totals reach back as far as those of hours.
INSERT INTO daily_labels (id, day, label_set_no, user_no, model_no, requests, succeeded, refused, errors, credits, input_tokens,
    cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens, cost_nano,
    unpriced_requests, timed_requests, duration_us, created_at, updated_at)
SELECT min(id), day, 0, user_no, model_no,
    CAST(sum(requests) AS BIGINT), CAST(sum(succeeded) AS BIGINT), CAST(sum(refused) AS BIGINT), CAST(sum(errors) AS BIGINT),
    CAST(sum(credits) AS BIGINT), CAST(sum(input_tokens) AS BIGINT), CAST(sum(cached_input_tokens) AS BIGINT),
    CAST(sum(cache_write_short_tokens) AS BIGINT), CAST(sum(cache_write_long_tokens) AS BIGINT), CAST(sum(output_tokens) AS BIGINT),
    CAST(sum(reasoning_tokens) AS BIGINT),
    CASE WHEN sum(cost_nano / 1000000000) + sum(cost_nano % 1000000000) / 1000000000 >= 9223372036
        THEN 9223372036854775807
        ELSE CAST(sum(cost_nano / 1000000000) * 1000000000 + sum(cost_nano % 1000000000) AS BIGINT) END,
    CAST(sum(unpriced_requests) AS BIGINT), CAST(sum(timed_requests) AS BIGINT), CAST(sum(duration_us) AS BIGINT),
    max(created_at), max(updated_at)
FROM hourly_usage GROUP BY day, user_no, model_no;
