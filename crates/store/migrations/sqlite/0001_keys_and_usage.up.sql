-- Times are microseconds since the Unix epoch, days whole days since then, both UTC, bound by the binary.
-- Users, keys and plans are never deleted: usage speaks of them by number, and a number is not given twice.

-- budgets: a JSON list of what holds each user beside the quota.
CREATE TABLE plans (
    id                  BLOB    NOT NULL PRIMARY KEY,
    name                TEXT    NOT NULL UNIQUE,
    credits_per_day     BIGINT  CHECK (credits_per_day >= 0),
    requests_per_minute BIGINT  CHECK (requests_per_minute > 0),
    budgets             TEXT    NOT NULL,
    shared_keys         BOOLEAN NOT NULL,
    created_at          BIGINT  NOT NULL,
    updated_at          BIGINT  NOT NULL
);

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

-- hash: SHA-256 of the whole key, 32 bytes; previous_hash: of the secret before the last rotation, which opens the key until
-- previous_until. routes, models, addresses: JSON lists of what the key is bound to; none is no bound.
CREATE TABLE api_keys (
    id                  BLOB NOT NULL PRIMARY KEY,
    no                  BIGINT NOT NULL UNIQUE,
    user_id             BLOB NOT NULL REFERENCES users (id),
    label               TEXT NOT NULL,
    hash                BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    prefix              TEXT NOT NULL,
    last4               TEXT NOT NULL,
    previous_hash       BLOB CHECK (length(previous_hash) = 32),
    previous_last4      TEXT,
    previous_until      BIGINT,
    previous_used_at    BIGINT,
    credits_per_day     BIGINT CHECK (credits_per_day >= 0),
    requests_per_minute BIGINT CHECK (requests_per_minute > 0),
    routes              TEXT,
    models              TEXT,
    addresses           TEXT,
    used_at             BIGINT,
    expires_at          BIGINT,
    revoked_at          BIGINT,
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL
);
-- Most keys have no secret before theirs, and most of a user's pages are of keys that are not revoked.
CREATE UNIQUE INDEX api_keys_previous ON api_keys (previous_hash) WHERE previous_hash IS NOT NULL;
CREATE INDEX api_keys_user ON api_keys (user_id, id);
CREATE INDEX api_keys_open ON api_keys (user_id, id) WHERE revoked_at IS NULL;

-- What a subject may use of a measure in a period. subject_id: the id of the key, the user or the plan; everybody's is nil.
CREATE TABLE budgets (
    id         BLOB NOT NULL PRIMARY KEY,
    subject    TEXT NOT NULL CHECK (subject IN ('key', 'user', 'plan', 'global')),
    subject_id BLOB NOT NULL,
    measure    TEXT NOT NULL CHECK (measure IN ('credits', 'tokens', 'money')),
    per        TEXT NOT NULL CHECK (per IN ('day', 'month')),
    amount     BIGINT NOT NULL CHECK (amount >= 0),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (subject_id, subject, measure, per)
);

-- One sign-in. key_id: the key that it was made with. Ended is what signed out, was ended, or whose family's token was used twice.
CREATE TABLE sessions (
    id         BLOB NOT NULL PRIMARY KEY,
    user_id    BLOB NOT NULL REFERENCES users (id),
    key_id     BLOB REFERENCES api_keys (id),
    address    TEXT,
    agent      TEXT,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at   BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX sessions_open ON sessions (user_id, id) WHERE ended_at IS NULL;
CREATE INDEX sessions_expires ON sessions (expires_at);

-- The family of a session: at most one that is not used. hash: SHA-256, 32 bytes.
CREATE TABLE refresh_tokens (
    id         BLOB NOT NULL PRIMARY KEY,
    session_id BLOB NOT NULL REFERENCES sessions (id),
    hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    used_at    BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

-- One-time links: to sign up, to choose a password, to become the first admin. user_id: whose password; made_by_id: the admin.
CREATE TABLE links (
    id         BLOB NOT NULL PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('invite', 'password', 'first_admin')),
    hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    user_id    BLOB REFERENCES users (id),
    email      TEXT,
    plan_id    BLOB REFERENCES plans (id),
    made_by_id BLOB REFERENCES users (id),
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX links_open ON links (user_id) WHERE used_at IS NULL;

-- Credentials of providers. user_id: the owner; none is shared. sealed: nonce, ciphertext and tag of AES-256-GCM, bound to id and
-- owner; master: the fingerprint of the key it is sealed with.
CREATE TABLE provider_keys (
    id         BLOB NOT NULL PRIMARY KEY,
    user_id    BLOB REFERENCES users (id),
    provider   TEXT NOT NULL,
    label      TEXT NOT NULL,
    last4      TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    master     BLOB NOT NULL CHECK (length(master) = 16),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX provider_keys_own ON provider_keys (user_id, label) WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX provider_keys_shared ON provider_keys (label) WHERE user_id IS NULL;
-- Shared ones are read in this order with every change of the store, behind key look-ups that wait.
CREATE INDEX provider_keys_everybodys ON provider_keys (id) WHERE user_id IS NULL;

-- Master keys that this store has seen, by fingerprint; the newest that is not retired is in use.
CREATE TABLE master_keys (
    id          BLOB NOT NULL PRIMARY KEY,
    fingerprint BLOB NOT NULL UNIQUE CHECK (length(fingerprint) = 16),
    retired_at  BIGINT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

-- Who changed what, when, from where; rows are added and never changed. actor: command, system, user, key; actor_id: the session or the
-- key; target_id: what was changed, and user_id whose it is; detail: JSON, what about it, never a secret.
CREATE TABLE audit_log (
    id            BLOB NOT NULL PRIMARY KEY,
    actor         TEXT NOT NULL CHECK (actor IN ('command', 'system', 'user', 'key')),
    actor_user_id BLOB,
    actor_id      BLOB,
    address       TEXT,
    action        TEXT NOT NULL,
    target_id     BLOB NOT NULL,
    user_id       BLOB,
    detail        TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);
CREATE INDEX audit_log_time ON audit_log (created_at, id);
CREATE INDEX audit_log_user ON audit_log (user_id, created_at, id);
CREATE INDEX audit_log_action ON audit_log (action, created_at, id);
CREATE TRIGGER audit_log_is_not_updated BEFORE UPDATE ON audit_log
    BEGIN SELECT RAISE(ABORT, 'rows of audit_log are never changed'); END;
-- What is replaced is deleted without its trigger.
CREATE TRIGGER audit_log_is_not_replaced BEFORE INSERT ON audit_log WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'rows of audit_log are never changed'); END;
CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON audit_log
    BEGIN SELECT RAISE(ABORT, 'rows of audit_log are never changed'); END;

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
-- provider_no to upstream_us is the last attempt's; a request that reached no upstream has none. refusal: the code of an
-- answer of ours.
-- Without rowid: one tree, to whose end UUIDv7s are appended.
CREATE TABLE usage_events (
    id                       BLOB    NOT NULL PRIMARY KEY,
    user_no                  BIGINT,
    key_no                   BIGINT,
    plan_id                  BLOB,
    started_at               BIGINT  NOT NULL,
    day                      BIGINT  NOT NULL,
    credits                  BIGINT  NOT NULL,
    charged_tokens           BIGINT  NOT NULL,
    charged_nano             BIGINT  NOT NULL,
    route_no                 BIGINT  NOT NULL,
    format                   TEXT,
    model_no                 BIGINT,
    streamed                 BOOLEAN NOT NULL,
    status                   BIGINT  NOT NULL,
    outcome                  TEXT    NOT NULL,
    refusal                  TEXT,
    request_bytes            BIGINT  NOT NULL,
    response_bytes           BIGINT  NOT NULL,
    duration_us              BIGINT  NOT NULL,
    attempts                 BIGINT  NOT NULL,
    provider_no              BIGINT,
    provider_model_no        BIGINT,
    answered_model_no        BIGINT,
    upstream_status          BIGINT,
    upstream_id              TEXT,
    usage_source             TEXT,
    input_tokens             BIGINT,
    cached_input_tokens      BIGINT,
    cache_write_short_tokens BIGINT,
    cache_write_long_tokens  BIGINT,
    output_tokens            BIGINT,
    reasoning_tokens         BIGINT,
    audio_input_tokens       BIGINT,
    image_input_tokens       BIGINT,
    audio_output_tokens      BIGINT,
    image_output_tokens      BIGINT,
    billed_unit              TEXT,
    billed_quantity          BIGINT,
    searches                 BIGINT,
    maps_prompts             BIGINT,
    maps_queries             BIGINT,
    containers               BIGINT,
    file_searches            BIGINT,
    cost_nano                BIGINT,
    cost_unknown             TEXT,
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
    upstream_status          BIGINT,
    upstream_id              TEXT,
    usage_source             TEXT,
    input_tokens             BIGINT,
    cached_input_tokens      BIGINT,
    cache_write_short_tokens BIGINT,
    cache_write_long_tokens  BIGINT,
    output_tokens            BIGINT,
    reasoning_tokens         BIGINT,
    audio_input_tokens       BIGINT,
    image_input_tokens       BIGINT,
    audio_output_tokens      BIGINT,
    image_output_tokens      BIGINT,
    billed_unit              TEXT,
    billed_quantity          BIGINT,
    searches                 BIGINT,
    maps_prompts             BIGINT,
    maps_queries             BIGINT,
    containers               BIGINT,
    file_searches            BIGINT,
    cost_nano                BIGINT,
    cost_unknown             TEXT,
    price_no                 BIGINT,
    first_byte_us            BIGINT,
    upstream_us              BIGINT  NOT NULL,
    created_at               BIGINT  NOT NULL,
    updated_at               BIGINT  NOT NULL,
    UNIQUE (event_id, no)
);

-- Requests without a row of their own. user_no and key_no are 0 where there was no caller: NULLs would not be unique. day: whose
-- quota they were admitted under, which about midnight is not always the minute's.
CREATE TABLE usage_counts (
    id           BLOB    NOT NULL PRIMARY KEY,
    user_no      BIGINT  NOT NULL,
    key_no       BIGINT  NOT NULL,
    route_no     BIGINT  NOT NULL,
    status_class BIGINT  NOT NULL,
    minute       BIGINT  NOT NULL,
    day          BIGINT  NOT NULL,
    requests     BIGINT  NOT NULL,
    credits      BIGINT  NOT NULL,
    created_at   BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL,
    UNIQUE (key_no, route_no, status_class, minute, day)
);

-- Totals of known callers. The unique index begins with the day: the meter is rebuilt from one day.
CREATE TABLE daily_usage (
    id                       BLOB    NOT NULL PRIMARY KEY,
    user_no                  BIGINT  NOT NULL,
    key_no                   BIGINT  NOT NULL,
    node_id                  BLOB    NOT NULL,
    day                      BIGINT  NOT NULL,
    requests                 BIGINT  NOT NULL,
    credits                  BIGINT  NOT NULL,
    charged_tokens           BIGINT  NOT NULL,
    charged_nano             BIGINT  NOT NULL,
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
    UNIQUE (day, user_no, key_no, node_id)
);
CREATE INDEX daily_usage_user ON daily_usage (user_no, day);

-- What counts for the budgets of plans and of everybody. plan_id: the plan that callers had.
CREATE TABLE daily_plans (
    id             BLOB NOT NULL PRIMARY KEY,
    day            BIGINT NOT NULL,
    plan_id        BLOB NOT NULL,
    node_id        BLOB NOT NULL,
    credits        BIGINT NOT NULL,
    charged_tokens BIGINT NOT NULL,
    charged_nano   BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    UNIQUE (day, plan_id, node_id)
);

-- The same of LLM calls by user and model, for overviews. model_no: 0 where no model is known by name; refused: what never
-- reached a provider, and is in no other column but errors: answers of 400 and more, and all of ours.
CREATE TABLE daily_models (
    id                       BLOB NOT NULL PRIMARY KEY,
    user_no                  BIGINT NOT NULL,
    model_no                 BIGINT NOT NULL,
    day                      BIGINT NOT NULL,
    requests                 BIGINT NOT NULL,
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
    duration_us              BIGINT NOT NULL,
    created_at               BIGINT NOT NULL,
    updated_at               BIGINT NOT NULL,
    UNIQUE (user_no, day, model_no)
);

-- One row: how often users, keys and plans were changed. no_floor: numbers up to this one may be of users and keys that a
-- restored backup does not know; none of them is given. key_no: numbers of keys up to this one are given, or may be by who took them.
-- usage_from: rows of usage that were made before this moment may have been deleted by age.
CREATE TABLE revision (
    id         BLOB   NOT NULL PRIMARY KEY,
    value      BIGINT NOT NULL,
    no_floor   BIGINT NOT NULL DEFAULT 0,
    key_no     BIGINT NOT NULL DEFAULT 0,
    usage_from BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Servers, each with a spool of its own. id: as in the file `node` of its data folder; incarnation: how often one was started
-- there; seen_at: it ran then; left_at: it ended then; ingested_until: all that it had spooled until then is in the tables above.
CREATE TABLE nodes (
    id          BLOB   NOT NULL PRIMARY KEY,
    version     TEXT   NOT NULL,
    incarnation BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,
    left_at     BIGINT,
    ingested_until BIGINT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

-- How far each lane of a node's spool is in the tables above.
CREATE TABLE ingested (
    id          BLOB   NOT NULL PRIMARY KEY,
    node_id     BLOB   NOT NULL REFERENCES nodes (id),
    lane        BIGINT NOT NULL,
    segment     BIGINT NOT NULL,
    byte_offset BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    UNIQUE (node_id, lane)
);

-- Requests that were open when their segments of a node's spool went, until their ends are stored. id: the request's; opened: JSON.
CREATE TABLE open_requests (
    id         BLOB NOT NULL PRIMARY KEY,
    node_id    BLOB NOT NULL REFERENCES nodes (id),
    opened     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX open_requests_node ON open_requests (node_id);

-- What providers said of usage, as it stood in their answers. no: the attempt's, from 1.
CREATE TABLE usage_raw (
    id         BLOB NOT NULL PRIMARY KEY,
    event_id   BLOB NOT NULL,
    no         BIGINT NOT NULL,
    raw        TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (event_id, no)
);

-- Budgets that nodes share, one row a budget and period. id: made of the columns from subject to first_day, so that everybody
-- names it alike; carried: charged before anything was lent, none before that was looked up; most: the largest limit by which anything
-- was lent; recall: the latest one; pressed: whose requests waited in vain last, and until when others get no more than theirs need.
CREATE TABLE lease_books (
    id            BLOB   NOT NULL PRIMARY KEY,
    subject       TEXT   NOT NULL CHECK (subject IN ('key', 'user', 'plan', 'everybody')),
    subject_no    BIGINT NOT NULL,
    plan_id       BLOB,
    measure       TEXT   NOT NULL CHECK (measure IN ('credits', 'tokens', 'money')),
    per           TEXT   NOT NULL CHECK (per IN ('day', 'month')),
    first_day     BIGINT NOT NULL,
    ends_at       BIGINT NOT NULL,
    carried       BIGINT,
    most          BIGINT NOT NULL,
    recall        BIGINT NOT NULL,
    pressed_id    BLOB,
    pressed_until BIGINT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);
CREATE INDEX lease_books_end ON lease_books (ends_at);

-- What of a book is lent to an incarnation of a node, or was. base: what had been charged of the budget through that node by
-- when the lease began: what its totals say beyond that was spent of this lease. recalled: the latest of the book's other
-- leases' recalls.
CREATE TABLE leases (
    id          BLOB    NOT NULL PRIMARY KEY,
    book_id     BLOB    NOT NULL,
    node_id     BLOB    NOT NULL,
    incarnation BIGINT  NOT NULL,
    seq         BIGINT  NOT NULL,
    term        BIGINT  NOT NULL,
    granted     BIGINT  NOT NULL,
    used        BIGINT  NOT NULL,
    spent       BIGINT  NOT NULL,
    ceded       BIGINT  NOT NULL,
    round       BIGINT  NOT NULL,
    recalls     BIGINT  NOT NULL,
    recalled    BIGINT  NOT NULL,
    heard_at    BIGINT  NOT NULL,
    closed      BOOLEAN NOT NULL,
    told        BOOLEAN NOT NULL,
    base        BIGINT  NOT NULL,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL,
    UNIQUE (book_id, node_id, incarnation)
);
CREATE INDEX leases_untold ON leases (node_id) WHERE NOT told;
CREATE INDEX leases_recalled ON leases (node_id) WHERE recalled > ceded AND NOT told;

-- When each node last asked for leases: id is the node's. Apart from nodes, whose rows ingest holds.
CREATE TABLE lease_holders (
    id         BLOB   NOT NULL PRIMARY KEY,
    heard_at   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- One row: the oldest migration that a binary must know to run on this store. One that only adds leaves it; one that takes
-- away what older binaries use raises it.
CREATE TABLE schema_floor (
    id         BLOB   NOT NULL PRIMARY KEY,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
INSERT INTO schema_floor (id, version, created_at, updated_at)
VALUES (x'ffffffffffffffffffffffffffffffff', 1, unixepoch() * 1000000, unixepoch() * 1000000);
