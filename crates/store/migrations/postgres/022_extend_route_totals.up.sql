-- Totals of requests without a user, which have the user 0 and the key 0. Older binaries do not add to them, so this migration
-- raises the floor.
UPDATE schema_floor SET version = 22;

-- A row gets the id of its first request: retention reads the age of totals of hours from it.
INSERT INTO hourly_usage (id, user_no, hour, day, key_no, model_no, route_no, result, requests, succeeded, refused, errors, credits,
    input_tokens, cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens,
    cost_nano, unpriced_requests, timed_requests, duration_us, created_at, updated_at)
SELECT CAST(min(CAST(id AS TEXT)) AS UUID), user_no, hour, day, key_no, model_no, route_no, result,
    CAST(sum(requests) AS BIGINT),
    CAST(sum(CASE WHEN result = 0 THEN calls ELSE 0 END) AS BIGINT),
    CAST(sum(CASE WHEN result = 1 THEN calls ELSE 0 END) AS BIGINT),
    CAST(sum(CASE WHEN result = 2 THEN calls ELSE 0 END) AS BIGINT),
    CAST(sum(credits) AS BIGINT),
    CAST(sum(input_tokens) AS BIGINT),
    CAST(sum(cached_input_tokens) AS BIGINT),
    CAST(sum(cache_write_short_tokens) AS BIGINT),
    CAST(sum(cache_write_long_tokens) AS BIGINT),
    CAST(sum(output_tokens) AS BIGINT),
    CAST(sum(reasoning_tokens) AS BIGINT),
    CASE WHEN sum(cost_nano / 1000000000) + sum(cost_nano % 1000000000) / 1000000000 >= 9223372036
        THEN 9223372036854775807
        ELSE CAST(sum(cost_nano / 1000000000) * 1000000000 + sum(cost_nano % 1000000000) AS BIGINT) END,
    CAST(sum(unpriced_requests) AS BIGINT),
    CAST(sum(timed_requests) AS BIGINT),
    CAST(sum(duration_us) AS BIGINT),
    CAST(extract(epoch FROM now()) * 1000000 AS BIGINT), CAST(extract(epoch FROM now()) * 1000000 AS BIGINT)
FROM (
    SELECT id, 0 AS user_no, started_at / 3600000000 AS hour, day, 0 AS key_no, CASE WHEN format IS NULL THEN -1 ELSE coalesce(model_no, 0) END AS model_no, route_no,
        CASE WHEN outcome = 'budget_cut' OR refusal IN ('bad_request', 'ambiguous_credentials', 'format_mismatch', 'price_unknown', 'cost_unbounded', 'unauthorized', 'key_malformed',
            'key_unknown', 'key_revoked', 'key_expired', 'token_invalid', 'token_expired', 'password_invalid', 'forbidden', 'signup_closed',
            'user_suspended', 'not_found', 'route_not_found', 'model_not_found', 'method_not_allowed', 'request_timeout', 'conflict',
            'payload_too_large', 'unsupported_media_type', 'unprocessable', 'upgrade_required', 'rate_limited', 'quota_exceeded',
            'budget_exceeded', 'header_too_large') THEN 1
            WHEN outcome = 'caller_gone' AND status = 499 THEN 0
            WHEN status >= 400 OR refusal IS NOT NULL OR outcome IN ('upstream_cut', 'timed_out', 'drained', 'interrupted') THEN 2
            ELSE 0 END AS result,
        1 AS calls,
        CASE WHEN (attempts > 0 OR outcome = 'interrupted') THEN 1 ELSE 0 END AS requests,
        CASE WHEN (attempts > 0 OR outcome = 'interrupted') THEN credits ELSE 0 END AS credits,
        coalesce(input_tokens, 0) + coalesce(audio_input_tokens, 0) + coalesce(image_input_tokens, 0) AS input_tokens,
        coalesce(cached_input_tokens, 0) AS cached_input_tokens,
        coalesce(cache_write_short_tokens, 0) AS cache_write_short_tokens,
        coalesce(cache_write_long_tokens, 0) AS cache_write_long_tokens,
        coalesce(output_tokens, 0) + coalesce(audio_output_tokens, 0) + coalesce(image_output_tokens, 0) AS output_tokens,
        coalesce(reasoning_tokens, 0) AS reasoning_tokens,
        coalesce(cost_nano, 0) AS cost_nano,
        CASE WHEN (attempts > 0 OR outcome = 'interrupted') AND format IS NOT NULL AND (attempts = 0 OR cost_nano IS NULL OR attempts > 1 AND EXISTS
            (SELECT 1 FROM usage_attempts t WHERE t.event_id = usage_events.id AND t.cost_nano IS NULL)) THEN 1 ELSE 0 END
            AS unpriced_requests,
        CASE WHEN attempts > 0 THEN 1 ELSE 0 END AS timed_requests,
        CASE WHEN attempts > 0 THEN duration_us ELSE 0 END AS duration_us
    FROM usage_events WHERE user_no IS NULL
    UNION ALL SELECT id, 0, minute / 60, day, 0, -1, route_no, CASE WHEN status_class >= 4 THEN 2 ELSE 0 END, requests,
        requests, credits, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM usage_counts WHERE key_no = 0
) requests GROUP BY user_no, hour, day, key_no, model_no, route_no, result;

INSERT INTO daily_routes (id, user_no, day, route_no, requests, succeeded, refused, errors, credits,
    input_tokens, cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens,
    cost_nano, unpriced_requests, timed_requests, duration_us, created_at, updated_at)
SELECT CAST(min(CAST(id AS TEXT)) AS UUID), 0, day, route_no,
    CAST(sum(requests) AS BIGINT),
    CAST(sum(succeeded) AS BIGINT),
    CAST(sum(refused) AS BIGINT),
    CAST(sum(errors) AS BIGINT),
    CAST(sum(credits) AS BIGINT),
    CAST(sum(input_tokens) AS BIGINT),
    CAST(sum(cached_input_tokens) AS BIGINT),
    CAST(sum(cache_write_short_tokens) AS BIGINT),
    CAST(sum(cache_write_long_tokens) AS BIGINT),
    CAST(sum(output_tokens) AS BIGINT),
    CAST(sum(reasoning_tokens) AS BIGINT),
    CASE WHEN sum(cost_nano / 1000000000) + sum(cost_nano % 1000000000) / 1000000000 >= 9223372036
        THEN 9223372036854775807
        ELSE CAST(sum(cost_nano / 1000000000) * 1000000000 + sum(cost_nano % 1000000000) AS BIGINT) END,
    CAST(sum(unpriced_requests) AS BIGINT),
    CAST(sum(timed_requests) AS BIGINT),
    CAST(sum(duration_us) AS BIGINT),
    CAST(extract(epoch FROM now()) * 1000000 AS BIGINT), CAST(extract(epoch FROM now()) * 1000000 AS BIGINT)
FROM hourly_usage WHERE user_no = 0 GROUP BY day, route_no;
