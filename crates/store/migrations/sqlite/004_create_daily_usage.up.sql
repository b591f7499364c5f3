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

-- What counts for the budgets of subjects without a user. subject_id: the id in subjects. The unique index begins with the
-- subject: its counters begin with the rows of a day or of a month.
CREATE TABLE daily_subjects (
    id             BLOB NOT NULL PRIMARY KEY,
    subject_id     BLOB NOT NULL,
    day            BIGINT NOT NULL,
    node_id        BLOB NOT NULL,
    credits        BIGINT NOT NULL,
    charged_tokens BIGINT NOT NULL,
    charged_nano   BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    UNIQUE (subject_id, day, node_id)
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
