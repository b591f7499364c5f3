//! Statements that write a batch: tables, columns, and the handling of rows that already exist.

use meter::usage_columns;
use meter::{Charge, Outcome, Source};
#[cfg(test)]
use store::sql::StoreKind;
use store::sql::{Insert, SqlType, UsualValue, Values, signed};

use crate::usage_columns::inserted;

/// One row per request. The columns are in the order of the table: SQLite copies values in another order once more.
pub(crate) static EVENTS: Insert = Insert::new(
    "usage_events",
    usage_columns!(inserted
        [
            "id", "user_no", "key_no", "plan_id", "subject_no", "started_at", "day", "credits", "charged_tokens",
            "charged_nano", "route_no", "format", "model_no", "streamed", "status", "outcome",
            "refusal", "request_bytes", "response_bytes", "duration_us", "attempts", "provider_no",
            "provider_model_no", "answered_model_no", "upstream_status", "upstream_id", "price_no",
            "first_byte_us", "upstream_us",
        ]
        ["cost_nano", "cost_unknown", "label_set_no", "client", "tools", "session_id", "cache", "trace_id", "skipped",
            "own_cost_nano", "own_charged_nano", "refused_limit", "windows",]
    ),
    &[
        ("id", SqlType::Uuid),
        ("session_id", SqlType::Uuid),
        ("trace_id", SqlType::Uuid),
        ("skipped", SqlType::Text),
        ("refused_limit", SqlType::Text),
        ("windows", SqlType::Text),
        ("plan_id", SqlType::Uuid),
        ("format", SqlType::Text),
        ("streamed", SqlType::Boolean),
        ("outcome", SqlType::Text),
        ("refusal", SqlType::Text),
        ("upstream_id", SqlType::Text),
        ("usage_source", SqlType::Text),
        ("billed_unit", SqlType::Text),
        ("cost_unknown", SqlType::Text),
    ],
    "ON CONFLICT (id) DO NOTHING",
)
.with_added(4)
.with_usual(&[
    ("subject_no", UsualValue::Null),
    ("status", UsualValue::Bigint(200)),
    ("outcome", UsualValue::Text(Outcome::Completed.as_str())),
    ("refusal", UsualValue::Null),
    ("attempts", UsualValue::Bigint(1)),
    ("upstream_status", UsualValue::Bigint(200)),
    ("usage_source", UsualValue::Text(Source::Reported.as_str())),
    ("audio_input_tokens", UsualValue::Null),
    ("image_input_tokens", UsualValue::Null),
    ("audio_output_tokens", UsualValue::Null),
    ("image_output_tokens", UsualValue::Null),
    ("billed_unit", UsualValue::Null),
    ("billed_quantity", UsualValue::Null),
    ("searches", UsualValue::Null),
    ("maps_prompts", UsualValue::Null),
    ("maps_queries", UsualValue::Null),
    ("containers", UsualValue::Null),
    ("file_searches", UsualValue::Null),
    ("cost_unknown", UsualValue::Null),
    ("trace_id", UsualValue::Null),
    ("skipped", UsualValue::Null),
    ("own_cost_nano", UsualValue::Null),
    ("own_charged_nano", UsualValue::Null),
    ("refused_limit", UsualValue::Null),
    ("windows", UsualValue::Null),
]);

/// One row per attempt, for requests with several attempts.
pub(crate) static ATTEMPTS: Insert = Insert::new(
    "usage_attempts",
    usage_columns!(inserted
        [
            "id", "event_id", "no", "provider_no", "provider_model_no", "answered_model_no",
            "upstream_status", "upstream_id", "price_no", "first_byte_us", "upstream_us",
        ]
        ["cost_nano", "cost_unknown", "own_cost_nano",]
    ),
    &[
        ("id", SqlType::Uuid),
        ("event_id", SqlType::Uuid),
        ("upstream_id", SqlType::Text),
        ("usage_source", SqlType::Text),
        ("billed_unit", SqlType::Text),
        ("cost_unknown", SqlType::Text),
    ],
    "",
)
.with_added(1);

/// Lists the columns of a table of totals: those in the first brackets, the totals of `bind_totals`, those in the second
/// brackets.
macro_rules! totals {
    ([$($before:literal,)*] [$($after:literal,)*]) => {
        &[
            "id", $($before,)*
            "credits", "input_tokens", "cached_input_tokens", "cache_write_short_tokens", "cache_write_long_tokens",
            "output_tokens", "reasoning_tokens", "cost_nano", "unpriced_requests",
            $($after,)*
        ]
    };
}

/// Totals per key and day.
pub(crate) static DAYS: Insert = Insert::adding(
    "daily_usage",
    totals!(["day", "user_no", "key_no", "node_id", "charged_tokens", "charged_nano", "requests",] ["own_cost_nano",]),
    &[("id", SqlType::Uuid), ("node_id", SqlType::Uuid)],
    &["day", "user_no", "key_no", "node_id"],
);

/// Charges for the budgets of plans.
pub(crate) static PLANS: Insert = Insert::adding(
    "daily_plans",
    &["id", "day", "plan_id", "node_id", "credits", "charged_tokens", "charged_nano", "own_charged_nano"],
    &[("id", SqlType::Uuid), ("plan_id", SqlType::Uuid), ("node_id", SqlType::Uuid)],
    &["day", "plan_id", "node_id"],
);

/// Charges for the budgets of subjects without a user.
pub(crate) static SUBJECTS: Insert = Insert::adding(
    "daily_subjects",
    &["id", "subject_id", "day", "node_id", "credits", "charged_tokens", "charged_nano"],
    &[("id", SqlType::Uuid), ("subject_id", SqlType::Uuid), ("node_id", SqlType::Uuid)],
    &["subject_id", "day", "node_id"],
);

/// Totals of LLM requests per model.
pub(crate) static MODELS: Insert = Insert::adding(
    "daily_models",
    totals!(["user_no", "day", "model_no", "requests", "succeeded", "refused", "errors",] ["duration_us", "own_cost_nano",]),
    &[("id", SqlType::Uuid)],
    &["user_no", "day", "model_no"],
);

/// Totals per hour, key, model and route.
pub(crate) static HOURS: Insert = Insert::adding(
    "hourly_usage",
    totals!(
        ["user_no", "hour", "key_no", "model_no", "route_no", "day", "result", "requests", "succeeded", "refused", "errors",]
        ["timed_requests", "duration_us",]
    ),
    &[("id", SqlType::Uuid)],
    &["user_no", "hour", "key_no", "model_no", "route_no", "day", "result"],
);

/// Totals per route and day.
pub(crate) static ROUTES: Insert = Insert::adding(
    "daily_routes",
    totals!(["user_no", "day", "route_no", "requests", "succeeded", "refused", "errors",] ["timed_requests", "duration_us",]),
    &[("id", SqlType::Uuid)],
    &["user_no", "day", "route_no"],
);

/// Totals per label set, user, model and day.
pub(crate) static LABELS: Insert = Insert::adding(
    "daily_labels",
    totals!(
        ["day", "label_set_no", "user_no", "model_no", "requests", "succeeded", "refused", "errors",]
        ["timed_requests", "duration_us", "own_cost_nano",]
    ),
    &[("id", SqlType::Uuid)],
    &["day", "label_set_no", "user_no", "model_no"],
);

/// Versions of the figures of days that are over; conflicts add to the version.
pub(crate) static DAY_VERSIONS: Insert =
    Insert::adding("day_versions", &["id", "day", "version"], &[("id", SqlType::Uuid)], &["day"]);

/// Counts per minute; conflicts add to the existing row.
pub(crate) static MINUTES: Insert = Insert::new(
    "usage_counts",
    &[
        "id",
        "user_no",
        "key_no",
        "subject_no",
        "route_no",
        "status_class",
        "minute",
        "day",
        "label_set_no",
        "requests",
        "credits",
    ],
    &[("id", SqlType::Uuid)],
    "ON CONFLICT (key_no, subject_no, route_no, status_class, minute, day, label_set_no) DO UPDATE SET
        requests = usage_counts.requests + excluded.requests, credits = usage_counts.credits + excluded.credits,
        updated_at = excluded.updated_at",
);

/// Raw usage as providers reported it, of several requests per row.
pub(crate) static RAW: Insert = Insert::new(
    "usage_raw",
    &["id", "raw"],
    &[("id", SqlType::Uuid), ("raw", SqlType::Text)],
    "ON CONFLICT (id) DO NOTHING",
);

/// Requests that are still open.
pub(crate) static OPEN_REQUESTS: Insert = Insert::new(
    "open_requests",
    &["id", "node_id", "opened"],
    &[("id", SqlType::Uuid), ("node_id", SqlType::Uuid), ("opened", SqlType::Bytes)],
    "ON CONFLICT (id) DO NOTHING",
);

/// One position per partition; conflicts replace the earlier position.
pub(crate) static POSITIONS: Insert = Insert::new(
    "ingested",
    &["id", "node_id", "lane", "segment", "byte_offset"],
    &[("id", SqlType::Uuid), ("node_id", SqlType::Uuid)],
    "ON CONFLICT (node_id, lane) DO UPDATE SET segment = excluded.segment, byte_offset = excluded.byte_offset,
        updated_at = excluded.updated_at
        WHERE (excluded.segment, excluded.byte_offset) > (ingested.segment, ingested.byte_offset)",
);

/// Adds the columns from `credits` to `charged_nano`.
pub(crate) fn bind_charge(charge: &Charge, row: &mut Values<'_>) {
    row.put(signed(charge.credits.0)).put(signed(charge.tokens.0)).put(charge.money.0);
}

/// Returns all statements of this module.
#[cfg(test)]
pub(crate) fn inserts() -> [&'static Insert; 15] {
    [
        &EVENTS,
        &ATTEMPTS,
        &DAYS,
        &PLANS,
        &SUBJECTS,
        &super::windows::WINDOWS,
        &MODELS,
        &HOURS,
        &ROUTES,
        &MINUTES,
        &RAW,
        &OPEN_REQUESTS,
        &POSITIONS,
        &DAY_VERSIONS,
        &LABELS,
    ]
}

/// Returns every text of these statements.
#[cfg(test)]
pub(crate) fn texts(kind: StoreKind) -> Vec<String> {
    inserts().into_iter().flat_map(|insert| insert.all_texts(kind)).collect()
}
