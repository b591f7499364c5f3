DROP INDEX usage_counts_minute;
DROP INDEX daily_routes_day;
DROP INDEX daily_models_day;
UPDATE daily_models SET errors = errors + refused;
UPDATE daily_routes SET errors = errors + refused;
ALTER TABLE daily_models DROP COLUMN succeeded;
ALTER TABLE daily_routes DROP COLUMN succeeded;
DROP TABLE hourly_usage;
UPDATE schema_floor SET version = 1;
CREATE TABLE hourly_usage (
    id                       BLOB NOT NULL PRIMARY KEY,
    user_no                  BIGINT NOT NULL,
    hour                     BIGINT NOT NULL,
    day                      BIGINT NOT NULL,
    key_no                   BIGINT NOT NULL,
    model_no                 BIGINT NOT NULL,
    route_no                 BIGINT NOT NULL,
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
    timed_requests           BIGINT NOT NULL,
    duration_us              BIGINT NOT NULL,
    created_at               BIGINT NOT NULL,
    updated_at               BIGINT NOT NULL,
    UNIQUE (user_no, hour, key_no, model_no, route_no, day)
);

INSERT INTO hourly_usage (id, user_no, hour, day, key_no, model_no, route_no, requests, refused, errors, credits,
    input_tokens, cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens,
    cost_nano, unpriced_requests, timed_requests, duration_us, created_at, updated_at)
SELECT min(id), user_no, hour, day, key_no, model_no, route_no,
    CAST(sum(requests) AS BIGINT),
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
    unixepoch() * 1000000, unixepoch() * 1000000
FROM (
    SELECT id, user_no, started_at / 3600000000 AS hour, day, key_no, CASE WHEN format IS NULL THEN -1 ELSE coalesce(model_no, 0) END AS model_no, route_no,
        CASE WHEN (attempts > 0 OR outcome = 'interrupted') THEN 1 ELSE 0 END AS requests,
        CASE WHEN (attempts > 0 OR outcome = 'interrupted') THEN 0 ELSE 1 END AS refused,
        CASE WHEN status >= 400 OR refusal IS NOT NULL THEN 1 ELSE 0 END AS errors,
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
    FROM usage_events WHERE user_no IS NOT NULL
    UNION ALL SELECT id, user_no, minute / 60, day, key_no, -1, route_no,
        requests, 0, CASE WHEN status_class >= 4 THEN requests ELSE 0 END, credits, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM usage_counts WHERE key_no <> 0
) requests GROUP BY user_no, hour, day, key_no, model_no, route_no;
