//! Statements that write a batch: tables, columns, and the handling of rows that already exist.

use meter::usage_columns;
use store::sql::Insert;
#[cfg(test)]
use store::sql::StoreKind;

use crate::usage_columns::inserted;

/// One row per request.
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
        ["cost_nano", "cost_unknown", "created_at", "updated_at",]
    ),
    "ON CONFLICT (id) DO NOTHING",
);

/// One row per attempt, for requests with several attempts.
pub(crate) static ATTEMPTS: Insert = Insert::new(
    "usage_attempts",
    usage_columns!(inserted
        [
            "id", "event_id", "no", "provider_no", "provider_model_no", "answered_model_no",
            "upstream_status", "upstream_id", "price_no", "first_byte_us", "upstream_us",
        ]
        ["cost_nano", "cost_unknown", "created_at", "updated_at",]
    ),
    "",
);

/// Totals per key and day; conflicts add to the existing row.
pub(crate) static DAYS: Insert = Insert::new(
    "daily_usage",
    &[
        "id",
        "day",
        "user_no",
        "key_no",
        "node_id",
        "charged_tokens",
        "charged_nano",
        "requests",
        "credits",
        "input_tokens",
        "cached_input_tokens",
        "cache_write_short_tokens",
        "cache_write_long_tokens",
        "output_tokens",
        "reasoning_tokens",
        "cost_nano",
        "unpriced_requests",
        "created_at",
        "updated_at",
    ],
    "ON CONFLICT (day, user_no, key_no, node_id) DO UPDATE SET
        charged_tokens = daily_usage.charged_tokens + excluded.charged_tokens,
        charged_nano = CASE WHEN daily_usage.charged_nano > 9223372036854775807 - excluded.charged_nano
            THEN 9223372036854775807 ELSE daily_usage.charged_nano + excluded.charged_nano END,
        requests = daily_usage.requests + excluded.requests,
        credits = daily_usage.credits + excluded.credits,
        input_tokens = daily_usage.input_tokens + excluded.input_tokens,
        cached_input_tokens = daily_usage.cached_input_tokens + excluded.cached_input_tokens,
        cache_write_short_tokens = daily_usage.cache_write_short_tokens + excluded.cache_write_short_tokens,
        cache_write_long_tokens = daily_usage.cache_write_long_tokens + excluded.cache_write_long_tokens,
        output_tokens = daily_usage.output_tokens + excluded.output_tokens,
        reasoning_tokens = daily_usage.reasoning_tokens + excluded.reasoning_tokens,
        cost_nano = CASE WHEN daily_usage.cost_nano > 9223372036854775807 - excluded.cost_nano THEN 9223372036854775807
            ELSE daily_usage.cost_nano + excluded.cost_nano END,
        unpriced_requests = daily_usage.unpriced_requests + excluded.unpriced_requests,
        updated_at = excluded.updated_at",
);

/// Charges for the budgets of plans; conflicts add to the existing row.
pub(crate) static PLANS: Insert = Insert::new(
    "daily_plans",
    &["id", "day", "plan_id", "node_id", "credits", "charged_tokens", "charged_nano", "created_at", "updated_at"],
    "ON CONFLICT (day, plan_id, node_id) DO UPDATE SET credits = daily_plans.credits + excluded.credits,
        charged_tokens = daily_plans.charged_tokens + excluded.charged_tokens,
        charged_nano = CASE WHEN daily_plans.charged_nano > 9223372036854775807 - excluded.charged_nano
            THEN 9223372036854775807 ELSE daily_plans.charged_nano + excluded.charged_nano END,
        updated_at = excluded.updated_at",
);

/// Totals of LLM requests per model; conflicts add to the existing row.
pub(crate) static MODELS: Insert = Insert::new(
    "daily_models",
    &[
        "id",
        "user_no",
        "day",
        "model_no",
        "requests",
        "refused",
        "errors",
        "credits",
        "input_tokens",
        "cached_input_tokens",
        "cache_write_short_tokens",
        "cache_write_long_tokens",
        "output_tokens",
        "reasoning_tokens",
        "cost_nano",
        "unpriced_requests",
        "duration_us",
        "created_at",
        "updated_at",
    ],
    "ON CONFLICT (user_no, day, model_no) DO UPDATE SET requests = daily_models.requests + excluded.requests,
        refused = daily_models.refused + excluded.refused, errors = daily_models.errors + excluded.errors,
        credits = daily_models.credits + excluded.credits,
        input_tokens = daily_models.input_tokens + excluded.input_tokens,
        cached_input_tokens = daily_models.cached_input_tokens + excluded.cached_input_tokens,
        cache_write_short_tokens = daily_models.cache_write_short_tokens + excluded.cache_write_short_tokens,
        cache_write_long_tokens = daily_models.cache_write_long_tokens + excluded.cache_write_long_tokens,
        output_tokens = daily_models.output_tokens + excluded.output_tokens,
        reasoning_tokens = daily_models.reasoning_tokens + excluded.reasoning_tokens,
        cost_nano = CASE WHEN daily_models.cost_nano > 9223372036854775807 - excluded.cost_nano THEN 9223372036854775807
            ELSE daily_models.cost_nano + excluded.cost_nano END,
        unpriced_requests = daily_models.unpriced_requests + excluded.unpriced_requests,
        duration_us = daily_models.duration_us + excluded.duration_us, updated_at = excluded.updated_at",
);

/// Totals per hour, key, model and route; conflicts add to the existing row.
pub(crate) static HOURS: Insert = Insert::new(
    "hourly_usage",
    &[
        "id",
        "user_no",
        "hour",
        "key_no",
        "model_no",
        "route_no",
        "day",
        "requests",
        "refused",
        "errors",
        "credits",
        "input_tokens",
        "cached_input_tokens",
        "cache_write_short_tokens",
        "cache_write_long_tokens",
        "output_tokens",
        "reasoning_tokens",
        "cost_nano",
        "unpriced_requests",
        "timed_requests",
        "duration_us",
        "created_at",
        "updated_at",
    ],
    "ON CONFLICT (user_no, hour, key_no, model_no, route_no, day) DO UPDATE SET
        requests = hourly_usage.requests + excluded.requests,
        refused = hourly_usage.refused + excluded.refused,
        errors = hourly_usage.errors + excluded.errors,
        credits = hourly_usage.credits + excluded.credits,
        input_tokens = hourly_usage.input_tokens + excluded.input_tokens,
        cached_input_tokens = hourly_usage.cached_input_tokens + excluded.cached_input_tokens,
        cache_write_short_tokens = hourly_usage.cache_write_short_tokens + excluded.cache_write_short_tokens,
        cache_write_long_tokens = hourly_usage.cache_write_long_tokens + excluded.cache_write_long_tokens,
        output_tokens = hourly_usage.output_tokens + excluded.output_tokens,
        reasoning_tokens = hourly_usage.reasoning_tokens + excluded.reasoning_tokens,
        cost_nano = CASE WHEN hourly_usage.cost_nano > 9223372036854775807 - excluded.cost_nano THEN 9223372036854775807
            ELSE hourly_usage.cost_nano + excluded.cost_nano END,
        unpriced_requests = hourly_usage.unpriced_requests + excluded.unpriced_requests,
        timed_requests = hourly_usage.timed_requests + excluded.timed_requests,
        duration_us = hourly_usage.duration_us + excluded.duration_us,
        updated_at = excluded.updated_at",
);

/// Totals per route and day; conflicts add to the existing row.
pub(crate) static ROUTES: Insert = Insert::new(
    "daily_routes",
    &[
        "id",
        "user_no",
        "day",
        "route_no",
        "requests",
        "refused",
        "errors",
        "credits",
        "input_tokens",
        "cached_input_tokens",
        "cache_write_short_tokens",
        "cache_write_long_tokens",
        "output_tokens",
        "reasoning_tokens",
        "cost_nano",
        "unpriced_requests",
        "timed_requests",
        "duration_us",
        "created_at",
        "updated_at",
    ],
    "ON CONFLICT (user_no, day, route_no) DO UPDATE SET
        requests = daily_routes.requests + excluded.requests,
        refused = daily_routes.refused + excluded.refused,
        errors = daily_routes.errors + excluded.errors,
        credits = daily_routes.credits + excluded.credits,
        input_tokens = daily_routes.input_tokens + excluded.input_tokens,
        cached_input_tokens = daily_routes.cached_input_tokens + excluded.cached_input_tokens,
        cache_write_short_tokens = daily_routes.cache_write_short_tokens + excluded.cache_write_short_tokens,
        cache_write_long_tokens = daily_routes.cache_write_long_tokens + excluded.cache_write_long_tokens,
        output_tokens = daily_routes.output_tokens + excluded.output_tokens,
        reasoning_tokens = daily_routes.reasoning_tokens + excluded.reasoning_tokens,
        cost_nano = CASE WHEN daily_routes.cost_nano > 9223372036854775807 - excluded.cost_nano THEN 9223372036854775807
            ELSE daily_routes.cost_nano + excluded.cost_nano END,
        unpriced_requests = daily_routes.unpriced_requests + excluded.unpriced_requests,
        timed_requests = daily_routes.timed_requests + excluded.timed_requests,
        duration_us = daily_routes.duration_us + excluded.duration_us,
        updated_at = excluded.updated_at",
);

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
        "requests",
        "credits",
        "created_at",
        "updated_at",
    ],
    "ON CONFLICT (key_no, subject_no, route_no, status_class, minute, day) DO UPDATE SET
        requests = usage_counts.requests + excluded.requests, credits = usage_counts.credits + excluded.credits,
        updated_at = excluded.updated_at",
);

/// Raw usage as a provider reported it.
pub(crate) static RAW: Insert = Insert::new(
    "usage_raw",
    &["id", "event_id", "no", "raw", "created_at", "updated_at"],
    "ON CONFLICT (id) DO NOTHING",
);

/// Requests that are still open.
pub(crate) static OPEN_REQUESTS: Insert = Insert::new(
    "open_requests",
    &["id", "node_id", "opened", "created_at", "updated_at"],
    "ON CONFLICT (id) DO NOTHING",
);

/// One position per partition; conflicts replace the earlier position.
pub(crate) static POSITIONS: Insert = Insert::new(
    "ingested",
    &["id", "node_id", "lane", "segment", "byte_offset", "created_at", "updated_at"],
    "ON CONFLICT (node_id, lane) DO UPDATE SET segment = excluded.segment, byte_offset = excluded.byte_offset,
        updated_at = excluded.updated_at
        WHERE (excluded.segment, excluded.byte_offset) > (ingested.segment, ingested.byte_offset)",
);

/// Returns all statements of this module.
#[cfg(test)]
pub(crate) fn inserts() -> [&'static Insert; 11] {
    [&EVENTS, &ATTEMPTS, &DAYS, &PLANS, &MODELS, &HOURS, &ROUTES, &MINUTES, &RAW, &OPEN_REQUESTS, &POSITIONS]
}

/// Returns every text of these statements.
#[cfg(test)]
pub(crate) fn texts(kind: StoreKind) -> Vec<String> {
    inserts().into_iter().flat_map(|insert| insert.all_texts(kind)).collect()
}
