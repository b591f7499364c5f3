-- Times are microseconds since the Unix epoch, days whole days since then, both UTC, bound by the binary.
-- Users, keys and plans are never deleted: usage speaks of them by number, and a number is not given twice.

CREATE TABLE plans (
    id                  BLOB    NOT NULL PRIMARY KEY,
    name                TEXT    NOT NULL UNIQUE,
    credits_per_day     BIGINT  CHECK (credits_per_day >= 0),
    requests_per_minute BIGINT  CHECK (requests_per_minute > 0),
    created_at          BIGINT  NOT NULL,
    updated_at          BIGINT  NOT NULL
);

CREATE TABLE users (
    id         BLOB    NOT NULL PRIMARY KEY,
    no         BIGINT  NOT NULL UNIQUE,
    email      TEXT    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    plan_id    BLOB    NOT NULL REFERENCES plans (id),
    status     TEXT    NOT NULL CHECK (status IN ('active', 'suspended')),
    demo       BOOLEAN NOT NULL,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL
);

-- hash: SHA-256 of the whole key, 32 bytes.
CREATE TABLE api_keys (
    id         BLOB   NOT NULL PRIMARY KEY,
    no         BIGINT NOT NULL UNIQUE,
    user_id    BLOB   NOT NULL REFERENCES users (id),
    label      TEXT   NOT NULL,
    hash       BLOB   NOT NULL UNIQUE CHECK (length(hash) = 32),
    prefix     TEXT   NOT NULL,
    last4      TEXT   NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX api_keys_user ON api_keys (user_id);

-- Words that events repeat, by number.
CREATE TABLE names (
    id         BLOB   NOT NULL PRIMARY KEY,
    no         BIGINT NOT NULL UNIQUE,
    kind       TEXT   NOT NULL CHECK (kind IN ('route', 'model', 'provider', 'price')),
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (kind, name)
);

-- One request. id is the request's; *_no are numbers of users, api_keys and names. No foreign keys: an event must never
-- be refused, or the spool would stand still behind it. Tokens and cost are sums over the attempts, the rest of
-- provider_no to upstream_us is the last attempt's. Without rowid: one tree, to whose end UUIDv7s are appended.
CREATE TABLE usage_events (
    id                       BLOB    NOT NULL PRIMARY KEY,
    user_no                  BIGINT,
    key_no                   BIGINT,
    started_at               BIGINT  NOT NULL,
    day                      BIGINT  NOT NULL,
    credits                  BIGINT  NOT NULL,
    route_no                 BIGINT  NOT NULL,
    format                   TEXT,
    model_no                 BIGINT,
    streamed                 BOOLEAN NOT NULL,
    status                   BIGINT  NOT NULL,
    outcome                  TEXT    NOT NULL,
    request_bytes            BIGINT  NOT NULL,
    response_bytes           BIGINT  NOT NULL,
    duration_us              BIGINT  NOT NULL,
    attempts                 BIGINT  NOT NULL,
    provider_no              BIGINT,
    provider_model_no        BIGINT,
    answered_model_no        BIGINT,
    upstream_status          BIGINT ,
    upstream_id              TEXT,
    usage_source             TEXT,
    input_tokens             BIGINT,
    cached_input_tokens      BIGINT,
    cache_write_short_tokens BIGINT,
    cache_write_long_tokens  BIGINT,
    output_tokens            BIGINT,
    reasoning_tokens         BIGINT,
    cost_nano                BIGINT,
    price_no                 BIGINT,
    first_byte_us            BIGINT,
    upstream_us              BIGINT,
    created_at               BIGINT  NOT NULL,
    updated_at               BIGINT  NOT NULL
) WITHOUT ROWID;
CREATE INDEX usage_events_user ON usage_events (user_no, started_at);

-- The calls upstream of a request that needed more than one, in order from 1.
CREATE TABLE usage_attempts (
    id                       BLOB    NOT NULL PRIMARY KEY,
    event_id                 BLOB    NOT NULL,
    no                       BIGINT  NOT NULL,
    provider_no              BIGINT  NOT NULL,
    provider_model_no        BIGINT,
    answered_model_no        BIGINT,
    upstream_status          BIGINT ,
    upstream_id              TEXT,
    usage_source             TEXT,
    input_tokens             BIGINT,
    cached_input_tokens      BIGINT,
    cache_write_short_tokens BIGINT,
    cache_write_long_tokens  BIGINT,
    output_tokens            BIGINT,
    reasoning_tokens         BIGINT,
    cost_nano                BIGINT,
    price_no                 BIGINT,
    first_byte_us            BIGINT,
    upstream_us              BIGINT  NOT NULL,
    created_at               BIGINT  NOT NULL,
    updated_at               BIGINT  NOT NULL,
    UNIQUE (event_id, no)
);

-- Requests without a row of their own. user_no and key_no are 0 where there was no caller: NULLs would not be unique.
CREATE TABLE usage_counts (
    id           BLOB    NOT NULL PRIMARY KEY,
    user_no      BIGINT  NOT NULL,
    key_no       BIGINT  NOT NULL,
    route_no     BIGINT  NOT NULL,
    status_class BIGINT  NOT NULL,
    minute       BIGINT  NOT NULL,
    requests     BIGINT  NOT NULL,
    credits      BIGINT  NOT NULL,
    created_at   BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL,
    UNIQUE (key_no, route_no, status_class, minute)
);

-- Totals of known callers. The unique index begins with the day: the meter is rebuilt from one day.
CREATE TABLE daily_usage (
    id                       BLOB    NOT NULL PRIMARY KEY,
    user_no                  BIGINT  NOT NULL,
    key_no                   BIGINT  NOT NULL,
    day                      BIGINT  NOT NULL,
    requests                 BIGINT  NOT NULL,
    credits                  BIGINT  NOT NULL,
    input_tokens             BIGINT  NOT NULL,
    cached_input_tokens      BIGINT  NOT NULL,
    cache_write_short_tokens BIGINT  NOT NULL,
    cache_write_long_tokens  BIGINT  NOT NULL,
    output_tokens            BIGINT  NOT NULL,
    reasoning_tokens         BIGINT  NOT NULL,
    cost_nano                BIGINT  NOT NULL,
    unpriced_requests        BIGINT  NOT NULL,
    created_at               BIGINT  NOT NULL,
    updated_at               BIGINT  NOT NULL,
    UNIQUE (day, user_no, key_no)
);
CREATE INDEX daily_usage_user ON daily_usage (user_no, day);

-- One row: how often users, keys and plans were changed.
CREATE TABLE revision (
    id         BLOB   NOT NULL PRIMARY KEY,
    value      BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- How far each lane of the spool is in the tables above.
CREATE TABLE ingested (
    id          BLOB   NOT NULL PRIMARY KEY,
    lane        BIGINT NOT NULL UNIQUE,
    segment     BIGINT NOT NULL,
    byte_offset BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
