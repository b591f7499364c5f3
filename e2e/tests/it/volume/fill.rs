//! Stores with many requests, which are copies of a few real ones: through a server, they would take minutes.
//!
//! Each statement changes events and totals alike, so that the audit still agrees. The server must not run.

use e2e::setup::Folder;

use crate::store;

/// Makes a copy of each event, in the same hour. The last digits of an id are the number of its row.
const DOUBLED: &str = "
    INSERT INTO usage_events SELECT unhex(printf('%012x7000800%013x', at / 1000, copied)), user_no, key_no, plan_id, subject_no, at, day, credits, charged_tokens, charged_nano, route_no, format, model_no, streamed, status,
    outcome, refusal, request_bytes, response_bytes, duration_us, attempts, provider_no, provider_model_no, answered_model_no, upstream_status,
    upstream_id, price_no, first_byte_us, upstream_us, usage_source, input_tokens, cached_input_tokens, cache_write_short_tokens,
    cache_write_long_tokens, output_tokens, reasoning_tokens, audio_input_tokens, image_input_tokens, audio_output_tokens, image_output_tokens,
    billed_unit, billed_quantity, searches, maps_prompts, maps_queries, containers, file_searches, cost_nano, cost_unknown, label_set_no, client,
    tools, session_id, cache, trace_id, skipped, created_at, updated_at, own_cost_nano, own_charged_nano, refused_limit, windows
    FROM (SELECT e.*, last + e.rowid AS copied, started_at / 3600000000 * 3600000000 + (last + e.rowid) * 3000 AS at
        FROM usage_events e, (SELECT max(rowid) AS last FROM usage_events) AS stored ORDER BY e.rowid) AS copies;
    UPDATE daily_usage SET requests = requests * 2, credits = credits * 2, input_tokens = input_tokens * 2, cached_input_tokens = cached_input_tokens * 2, cache_write_short_tokens = cache_write_short_tokens * 2, cache_write_long_tokens = cache_write_long_tokens * 2, output_tokens = output_tokens * 2, reasoning_tokens = reasoning_tokens * 2, cost_nano = cost_nano * 2, unpriced_requests = unpriced_requests * 2, charged_tokens = charged_tokens * 2, charged_nano = charged_nano * 2;
    UPDATE daily_plans SET credits = credits * 2, charged_tokens = charged_tokens * 2, charged_nano = charged_nano * 2;
    UPDATE daily_models SET requests = requests * 2, credits = credits * 2, input_tokens = input_tokens * 2, cached_input_tokens = cached_input_tokens * 2, cache_write_short_tokens = cache_write_short_tokens * 2, cache_write_long_tokens = cache_write_long_tokens * 2, output_tokens = output_tokens * 2, reasoning_tokens = reasoning_tokens * 2, cost_nano = cost_nano * 2, unpriced_requests = unpriced_requests * 2, succeeded = succeeded * 2, refused = refused * 2, errors = errors * 2, duration_us = duration_us * 2;
    UPDATE daily_routes SET requests = requests * 2, credits = credits * 2, input_tokens = input_tokens * 2, cached_input_tokens = cached_input_tokens * 2, cache_write_short_tokens = cache_write_short_tokens * 2, cache_write_long_tokens = cache_write_long_tokens * 2, output_tokens = output_tokens * 2, reasoning_tokens = reasoning_tokens * 2, cost_nano = cost_nano * 2, unpriced_requests = unpriced_requests * 2, succeeded = succeeded * 2, refused = refused * 2, errors = errors * 2, timed_requests = timed_requests * 2, duration_us = duration_us * 2;
    UPDATE daily_labels SET requests = requests * 2, credits = credits * 2, input_tokens = input_tokens * 2, cached_input_tokens = cached_input_tokens * 2, cache_write_short_tokens = cache_write_short_tokens * 2, cache_write_long_tokens = cache_write_long_tokens * 2, output_tokens = output_tokens * 2, reasoning_tokens = reasoning_tokens * 2, cost_nano = cost_nano * 2, unpriced_requests = unpriced_requests * 2, succeeded = succeeded * 2, refused = refused * 2, errors = errors * 2, timed_requests = timed_requests * 2, duration_us = duration_us * 2;
    UPDATE hourly_usage SET requests = requests * 2, credits = credits * 2, input_tokens = input_tokens * 2, cached_input_tokens = cached_input_tokens * 2, cache_write_short_tokens = cache_write_short_tokens * 2, cache_write_long_tokens = cache_write_long_tokens * 2, output_tokens = output_tokens * 2, reasoning_tokens = reasoning_tokens * 2, cost_nano = cost_nano * 2, unpriced_requests = unpriced_requests * 2, succeeded = succeeded * 2, refused = refused * 2, errors = errors * 2, timed_requests = timed_requests * 2, duration_us = duration_us * 2;";

/// Copies the newest day to the [`DAYS_AT_ONCE`] days before the oldest one.
const EARLIER_DAYS: &str = "
    CREATE TABLE copied_days AS WITH RECURSIVE
        stored AS (SELECT min(day) AS oldest, max(day) AS newest FROM daily_usage),
        days (back) AS (SELECT newest - oldest + 21 FROM stored UNION ALL SELECT back - 1 FROM days, stored WHERE back > newest - oldest + 1)
        SELECT back, newest FROM days, stored;
    INSERT INTO usage_events SELECT unhex(printf('%012x7000800%013x', at / 1000, copied)), user_no, key_no, plan_id, subject_no, at, on_day, credits, charged_tokens, charged_nano, route_no, format, model_no, streamed, status,
    outcome, refusal, request_bytes, response_bytes, duration_us, attempts, provider_no, provider_model_no, answered_model_no, upstream_status,
    upstream_id, price_no, first_byte_us, upstream_us, usage_source, input_tokens, cached_input_tokens, cache_write_short_tokens,
    cache_write_long_tokens, output_tokens, reasoning_tokens, audio_input_tokens, image_input_tokens, audio_output_tokens, image_output_tokens,
    billed_unit, billed_quantity, searches, maps_prompts, maps_queries, containers, file_searches, cost_nano, cost_unknown, label_set_no, client,
    tools, session_id, cache, trace_id, skipped, created_at, updated_at, own_cost_nano, own_charged_nano, refused_limit, windows
    FROM (SELECT e.*, e.rowid AS copied, started_at - back * 86400000000 AS at, day - back AS on_day
        FROM copied_days, usage_events e WHERE day = newest ORDER BY back DESC, e.rowid) AS copies;
    INSERT INTO daily_usage (id, user_no, key_no, node_id, day, requests, credits, input_tokens, cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens, cost_nano, unpriced_requests, charged_tokens, charged_nano, created_at, updated_at)
        SELECT randomblob(16), user_no, key_no, node_id, day - back, requests, credits, input_tokens, cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens, cost_nano, unpriced_requests, charged_tokens, charged_nano, created_at, updated_at FROM copied_days, daily_usage WHERE day = newest;
    INSERT INTO daily_plans (id, day, plan_id, node_id, credits, charged_tokens, charged_nano, created_at, updated_at)
        SELECT randomblob(16), day - back, plan_id, node_id, credits, charged_tokens, charged_nano, created_at, updated_at FROM copied_days, daily_plans WHERE day = newest;
    INSERT INTO daily_models (id, user_no, model_no, day, requests, credits, input_tokens, cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens, cost_nano, unpriced_requests, succeeded, refused, errors, duration_us, created_at, updated_at)
        SELECT randomblob(16), user_no, model_no, day - back, requests, credits, input_tokens, cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens, cost_nano, unpriced_requests, succeeded, refused, errors, duration_us, created_at, updated_at FROM copied_days, daily_models WHERE day = newest;
    INSERT INTO daily_routes (id, user_no, day, route_no, requests, credits, input_tokens, cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens, cost_nano, unpriced_requests, succeeded, refused, errors, timed_requests, duration_us, created_at, updated_at)
        SELECT randomblob(16), user_no, day - back, route_no, requests, credits, input_tokens, cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens, cost_nano, unpriced_requests, succeeded, refused, errors, timed_requests, duration_us, created_at, updated_at FROM copied_days, daily_routes WHERE day = newest;
    INSERT INTO daily_labels (id, day, label_set_no, user_no, model_no, requests, credits, input_tokens, cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens, cost_nano, unpriced_requests, succeeded, refused, errors, timed_requests, duration_us, created_at, updated_at)
        SELECT randomblob(16), day - back, label_set_no, user_no, model_no, requests, credits, input_tokens, cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens, cost_nano, unpriced_requests, succeeded, refused, errors, timed_requests, duration_us, created_at, updated_at FROM copied_days, daily_labels WHERE day = newest;
    INSERT INTO hourly_usage (id, user_no, hour, day, key_no, model_no, route_no, result, requests, credits, input_tokens, cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens, cost_nano, unpriced_requests, succeeded, refused, errors, timed_requests, duration_us, created_at, updated_at)
        SELECT randomblob(16), user_no, hour - 24 * back, day - back, key_no, model_no, route_no, result, requests, credits, input_tokens, cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens, cost_nano, unpriced_requests, succeeded, refused, errors, timed_requests, duration_us, created_at, updated_at FROM copied_days, hourly_usage WHERE day = newest;
    DROP TABLE copied_days";

/// The number of days that one statement adds.
pub(super) const DAYS_AT_ONCE: u32 = 21;

/// What PostgreSQL spells differently. It has no number of a row, so the order of the ids is used.
const SPELLINGS: [(&str, &str); 5] = [
    (
        "unhex(printf('%012x7000800%013x', at / 1000, copied))",
        "CAST(lpad(to_hex(at / 1000), 12, '0') || '7000800' || lpad(to_hex(copied), 13, '0') AS uuid)",
    ),
    ("randomblob(16)", "gen_random_uuid()"),
    ("max(rowid)", "count(*)"),
    ("e.rowid) AS copies", "e.id) AS copies"),
    ("e.rowid", "row_number() OVER (ORDER BY e.id)"),
];

fn for_postgres(statements: &str) -> String {
    SPELLINGS.iter().fold(statements.to_owned(), |text, (sqlite, postgres)| text.replace(sqlite, postgres))
}

/// Doubles the requests of the store several times.
pub(super) async fn double(folder: &Folder, times: u32) {
    let data = folder.data();
    for _ in 0..times {
        store::rows(folder, &data).execute(DOUBLED, &for_postgres(DOUBLED)).await;
    }
}

/// Adds earlier days, [`DAYS_AT_ONCE`] at a time, each a copy of the newest day.
pub(super) async fn add_days(folder: &Folder, times: u32) {
    let data = folder.data();
    for _ in 0..times {
        store::rows(folder, &data).execute(EARLIER_DAYS, &for_postgres(EARLIER_DAYS)).await;
    }
}
