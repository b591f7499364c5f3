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

-- Identities without a key that requests were made as, by number. id: made of kind, issuer and name, as budgets name them;
-- issuer: of a token, or the name of the entry of auth; it is empty for certificates.
CREATE TABLE subjects (
    id         BLOB NOT NULL PRIMARY KEY,
    no         BIGINT NOT NULL UNIQUE,
    kind       TEXT NOT NULL CHECK (kind IN ('token', 'basic', 'certificate')),
    issuer     TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (kind, issuer, name)
);

-- One request. id is the request's; *_no are numbers of users, api_keys, subjects and names; a
-- request without a key and a subject was anonymous. No foreign keys: an event must never
-- be refused, or the spool would stand still behind it. Tokens and cost are sums over the attempts, the rest of
-- provider_no to upstream_us is the last attempt's; a request that reached no upstream has none. refusal: the code of an
-- answer of ours.
-- With a rowid: rows are appended to full pages. A tree without rowid splits a page at every few rows, and the index
-- then leads to the rows by a search for the id.
CREATE TABLE usage_events (
    id                       BLOB    NOT NULL PRIMARY KEY,
    user_no                  BIGINT,
    key_no                   BIGINT,
    plan_id                  BLOB,
    subject_no               BIGINT,
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
    price_no                 BIGINT,
    first_byte_us            BIGINT,
    upstream_us              BIGINT,
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
    -- client: a number of access::ClientProgram; tools: 0 none, 1 offered, 2 called; session_id: a hash.
    label_set_no             BIGINT,
    client                   BIGINT,
    tools                    BIGINT,
    session_id               BLOB,
    -- A number of meter::CacheUse; 0 or NULL without a stored response.
    cache                    BIGINT,
    -- The id of the trace (W3C Trace Context), if one exists.
    trace_id                 BLOB,
    -- The targets that an LLM call skipped: [[provider, model, reason, attempts before it], ...]; reason: a word of meter::SkipReason.
    skipped                  TEXT,
    created_at               BIGINT  NOT NULL,
    updated_at               BIGINT  NOT NULL
);
CREATE INDEX usage_events_user ON usage_events (user_no, started_at, id);

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
    price_no                 BIGINT,
    first_byte_us            BIGINT,
    upstream_us              BIGINT  NOT NULL,
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
    created_at               BIGINT  NOT NULL,
    updated_at               BIGINT  NOT NULL,
    UNIQUE (event_id, no)
);

-- Requests without a row of their own. user_no and key_no are 0 without a key, subject_no is 0 without a subject: NULLs would not be unique. day: whose
-- quota they were admitted under, which about midnight is not always the minute's.
CREATE TABLE usage_counts (
    id           BLOB    NOT NULL PRIMARY KEY,
    user_no      BIGINT  NOT NULL,
    key_no       BIGINT  NOT NULL,
    subject_no   BIGINT  NOT NULL,
    route_no     BIGINT  NOT NULL,
    status_class BIGINT  NOT NULL,
    minute       BIGINT  NOT NULL,
    day          BIGINT  NOT NULL,
    requests     BIGINT  NOT NULL,
    credits      BIGINT  NOT NULL,
    created_at   BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL,
    UNIQUE (key_no, subject_no, route_no, status_class, minute, day)
);

-- Usage as providers reported it. raw: a JSON list with one entry per attempt of several requests of one minute,
-- {"event": id, "attempt": from 1, "usage": as reported}. id: the first event's.
CREATE TABLE usage_raw (
    id         BLOB NOT NULL PRIMARY KEY,
    raw        TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
