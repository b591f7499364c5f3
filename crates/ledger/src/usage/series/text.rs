//! SQL of time series: the rows of a source, the largest groups, sums per group and step, and percentiles of durations.

use meter::usage::TokenTotal;

use super::SeriesGroup;
use crate::usage::sums::sums;
use crate::usage_columns::sum_of;

/// Maximum number of groups with a series of their own.
pub(super) const GROUPS_MAX: i64 = 10;

/// The tables that a series is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeriesSource {
    /// Daily totals per key. `$1`: user, `$2`: first day, `$3`: day after the last, `$4`: key or null.
    DailyKeys,
    /// Daily totals of LLM requests per model. Parameters as above, `$4`: model or null.
    DailyModels,
    /// Daily totals of routes. Parameters as for keys, without `$4`.
    DailyRoutes,
    /// Totals per hour in steps of an hour, and events for percentiles. `$1`: user, `$2`: first hour, `$3`: hour after the
    /// last, `$4`: key or null, `$5`: model or null, `$6` and `$7`: start and end of the events.
    Hours,
    /// Totals per hour in steps of a day. `$1` to `$5` as above.
    HoursOfDays,
    /// Events, and counts per minute. `$1`: user, `$2`: start, `$3`: end, `$4`: key or null, `$5`: model or null, `$6`: the
    /// length of a step.
    Requests,
}

/// Condition for a request that totals contain: it reached an upstream or was interrupted.
macro_rules! counts {
    () => {
        "(attempts > 0 OR outcome = 'interrupted')"
    };
}

/// Columns of tokens in totals, each with the classes that it adds up.
const TOKENS: [(&str, TokenTotal); 6] = [
    ("input_tokens", TokenTotal::Input),
    ("cached_input_tokens", TokenTotal::CachedInput),
    ("cache_write_short_tokens", TokenTotal::CacheWriteShort),
    ("cache_write_long_tokens", TokenTotal::CacheWriteLong),
    ("output_tokens", TokenTotal::Output),
    ("reasoning_tokens", TokenTotal::Reasoning),
];

/// Builds the query. Its rows are ordered by group and step. A group is a place: 1 has the most requests, and the place
/// after [`GROUPS_MAX`] has all remaining groups. No join is between two results with a row per request.
pub(super) fn text(source: SeriesSource, by: Option<SeriesGroup>) -> String {
    let (read, sums) = (read(source, by), sums!());
    let Places { top, place, join, count } = Places::of(by);
    let (names, names_join) = named(by);
    let timed = match source {
        // Interrupted requests have a duration in totals, and none in events.
        SeriesSource::DailyKeys | SeriesSource::DailyModels => "sum(requests)",
        SeriesSource::DailyRoutes | SeriesSource::Hours | SeriesSource::HoursOfDays => "sum(timed_requests)",
        SeriesSource::Requests => "count(duration_us)",
    };
    let Percentiles { columns, latency, latency_join } = Percentiles::of(source, by);
    format!(
        "WITH source AS MATERIALIZED ({read}){top},
        figures AS MATERIALIZED (SELECT {place} AS place, point, min(group_no) AS group_no,
            CAST({timed} AS BIGINT) AS timed, CAST(sum(refused) AS BIGINT) AS refused, CAST(sum(errors) AS BIGINT) AS errors,
            CAST(sum(duration_us) AS BIGINT) AS duration_us, {sums} FROM source{join} GROUP BY 1, 2){latency}
        SELECT f.*, {count} AS group_count, {columns}, {names} FROM figures f{latency_join}{names_join} ORDER BY f.place, f.point"
    )
}

/// The parts of the query that select the largest groups.
struct Places {
    top: String,
    place: String,
    join: &'static str,
    count: &'static str,
}

impl Places {
    fn of(by: Option<SeriesGroup>) -> Self {
        if by.is_none() {
            let one = || "CAST(1 AS BIGINT)";
            return Self { top: String::new(), place: one().to_owned(), join: "", count: one() };
        }
        let top = format!(
            ",
        top AS MATERIALIZED (SELECT group_no AS top_no, row_number() OVER (ORDER BY sum(requests + refused) DESC, group_no) AS nth,
            count(*) OVER () AS group_count FROM source GROUP BY group_no ORDER BY nth LIMIT {GROUPS_MAX})"
        );
        Self {
            top,
            place: format!("coalesce(nth, {})", GROUPS_MAX + 1),
            join: " LEFT JOIN top ON top_no = group_no",
            count: "(SELECT max(group_count) FROM top)",
        }
    }
}

/// Builds the query for the rows of a source, with the columns that the sums need.
fn read(source: SeriesSource, by: Option<SeriesGroup>) -> String {
    let group = |of: SeriesGroup, column: &'static str| if by == Some(of) { column } else { "0" };
    let summed = TOKENS.map(|(column, _)| column).join(", ");
    match source {
        SeriesSource::DailyKeys => {
            let group = group(SeriesGroup::Key, "key_no");
            format!(
                "SELECT {group} AS group_no, day - $2 AS point, requests, 0 AS refused, 0 AS errors,
                CAST(NULL AS BIGINT) AS duration_us, credits, {summed}, cost_nano, unpriced_requests
                FROM daily_usage WHERE user_no = $1 AND day >= $2 AND day < $3 AND (key_no = $4 OR $4 IS NULL)"
            )
        }
        SeriesSource::DailyModels => {
            let group = group(SeriesGroup::Model, "model_no");
            format!(
                "SELECT {group} AS group_no, day - $2 AS point, requests, refused, errors, duration_us, credits, {summed},
                cost_nano, unpriced_requests
                FROM daily_models WHERE user_no = $1 AND day >= $2 AND day < $3 AND (model_no = $4 OR $4 IS NULL)"
            )
        }
        SeriesSource::DailyRoutes => {
            let group = group(SeriesGroup::Route, "route_no");
            format!(
                "SELECT {group} AS group_no, day - $2 AS point, requests, refused, errors, timed_requests, duration_us, credits,
                {summed}, cost_nano, unpriced_requests
                FROM daily_routes WHERE user_no = $1 AND day >= $2 AND day < $3"
            )
        }
        SeriesSource::Hours => hours(by, "hour - $2"),
        SeriesSource::HoursOfDays => hours(by, "(hour - $2) / 24"),
        SeriesSource::Requests => match by {
            Some(SeriesGroup::Model) => events("coalesce(model_no, 0)", " AND format IS NOT NULL"),
            Some(SeriesGroup::Key) => format!("{} UNION ALL {}", events("coalesce(key_no, 0)", ""), minutes("key_no")),
            Some(SeriesGroup::Route) => format!("{} UNION ALL {}", events("route_no", ""), minutes("route_no")),
            None => format!("{} UNION ALL {}", events("0", ""), minutes("0")),
        },
    }
}

fn hours(by: Option<SeriesGroup>, point: &str) -> String {
    let summed = TOKENS.map(|(column, _)| column).join(", ");
    let (group, only) = match by {
        None => ("0", ""),
        // The number of requests that are no LLM requests is negative.
        Some(SeriesGroup::Model) => ("model_no", " AND model_no >= 0"),
        Some(SeriesGroup::Key) => ("key_no", ""),
        Some(SeriesGroup::Route) => ("route_no", ""),
    };
    format!(
        "SELECT {group} AS group_no, {point} AS point, requests, refused, errors, timed_requests, duration_us, credits, {summed},
            cost_nano, unpriced_requests
            FROM hourly_usage WHERE user_no = $1 AND hour >= $2 AND hour < $3 AND (key_no = $4 OR $4 IS NULL)
            AND (model_no = $5 OR $5 IS NULL){only}"
    )
}

/// Builds the query for durations of events, which reads no more than the index `usage_events_user` has.
fn durations(by: Option<SeriesGroup>) -> String {
    let (group, only) = match by {
        None => ("0", ""),
        Some(SeriesGroup::Model) => ("coalesce(model_no, 0)", " AND format IS NOT NULL"),
        Some(SeriesGroup::Key) => ("coalesce(key_no, 0)", ""),
        Some(SeriesGroup::Route) => ("route_no", ""),
    };
    format!(
        "(SELECT {group} AS group_no, started_at / 3600000000 - $2 AS point, duration_us FROM usage_events
            WHERE user_no = $1 AND started_at >= $6 AND started_at < $7 AND attempts > 0 AND (key_no = $4 OR $4 IS NULL)
            AND (model_no = $5 OR $5 IS NULL){only}) timed"
    )
}

fn events(group: &str, only: &str) -> String {
    let tokens = TOKENS.map(|(column, total)| format!("{} AS {column}", sum_of("", |of| of == total))).join(", ");
    let counts = counts!();
    format!(
        "SELECT {group} AS group_no, (started_at - $2) / $6 AS point, CASE WHEN {counts} THEN 1 ELSE 0 END AS requests,
            CASE WHEN {counts} THEN 0 ELSE 1 END AS refused,
            CASE WHEN status >= 400 OR refusal IS NOT NULL THEN 1 ELSE 0 END AS errors,
            CASE WHEN attempts > 0 THEN duration_us END AS duration_us, CASE WHEN {counts} THEN credits ELSE 0 END AS credits,
            {tokens}, coalesce(cost_nano, 0) AS cost_nano,
            CASE WHEN {counts} AND format IS NOT NULL AND (attempts = 0 OR cost_nano IS NULL OR attempts > 1 AND EXISTS
                (SELECT 1 FROM usage_attempts t WHERE t.event_id = usage_events.id AND t.cost_nano IS NULL)) THEN 1 ELSE 0
                END AS unpriced_requests
            FROM usage_events WHERE user_no = $1 AND started_at >= $2 AND started_at < $3 AND (key_no = $4 OR $4 IS NULL)
                AND (model_no = $5 OR $5 IS NULL){only}"
    )
}

fn minutes(group: &str) -> String {
    // Counts are of requests without a model.
    format!(
        "SELECT {group}, (minute * 60000000 - $2) / $6, requests, 0, CASE WHEN status_class >= 4 THEN requests ELSE 0 END,
            CAST(NULL AS BIGINT), credits, 0, 0, 0, 0, 0, 0, 0, 0 FROM usage_counts WHERE user_no = $1
            AND minute >= $2 / 60000000 AND minute < $3 / 60000000 AND (key_no = $4 OR $4 IS NULL) AND $5 IS NULL"
    )
}

/// The parts of the query that compute percentiles of durations.
struct Percentiles {
    columns: &'static str,
    latency: String,
    latency_join: &'static str,
}

impl Percentiles {
    fn of(source: SeriesSource, by: Option<SeriesGroup>) -> Self {
        let from = match source {
            SeriesSource::Requests => "source".to_owned(),
            SeriesSource::Hours => durations(by),
            SeriesSource::DailyKeys
            | SeriesSource::DailyModels
            | SeriesSource::DailyRoutes
            | SeriesSource::HoursOfDays => {
                let columns =
                    "CAST(NULL AS BIGINT) AS p50_us, CAST(NULL AS BIGINT) AS p95_us, CAST(NULL AS BIGINT) AS p99_us";
                return Self { columns, latency: String::new(), latency_join: "" };
            }
        };
        let Places { place, join, .. } = Places::of(by);
        // Nearest rank: the lowest duration that this part of the requests does not exceed.
        let of = |percent: u32| {
            format!("max(CASE WHEN rank = (timed_count * {percent} + 99) / 100 THEN duration_us END) AS p{percent}_us")
        };
        let latency = format!(
            ",
        durations AS (SELECT {place} AS place, point, duration_us,
            row_number() OVER (PARTITION BY {place}, point ORDER BY duration_us) AS rank,
            count(*) OVER (PARTITION BY {place}, point) AS timed_count
            FROM {from}{join} WHERE duration_us IS NOT NULL),
        latency AS (SELECT place, point, {}, {}, {} FROM durations GROUP BY place, point)",
            of(50),
            of(95),
            of(99)
        );
        let latency_join = " LEFT JOIN latency l ON l.place = f.place AND l.point = f.point";
        Self { columns: "l.p50_us, l.p95_us, l.p99_us", latency, latency_join }
    }
}

/// Columns of the group's name, and their joins.
fn named(by: Option<SeriesGroup>) -> (&'static str, &'static str) {
    match by {
        None => ("NULL AS name", ""),
        Some(SeriesGroup::Key) => {
            ("k.label AS name, k.id AS key_id, k.prefix, k.last4", " LEFT JOIN api_keys k ON k.no = f.group_no")
        }
        Some(SeriesGroup::Model | SeriesGroup::Route) => ("n.name", " LEFT JOIN names n ON n.no = f.group_no"),
    }
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(in crate::usage) fn texts() -> Vec<String> {
    use SeriesGroup::{Key, Model, Route};
    use SeriesSource::{DailyKeys, DailyModels, DailyRoutes, Hours, HoursOfDays, Requests};
    let daily = [
        (DailyKeys, None),
        (DailyKeys, Some(Key)),
        (DailyModels, None),
        (DailyModels, Some(Model)),
        (DailyRoutes, Some(Route)),
    ];
    let of_any = |source| [None, Some(Model), Some(Key), Some(Route)].map(|by| (source, by));
    daily
        .into_iter()
        .chain([Hours, HoursOfDays, Requests].into_iter().flat_map(of_any))
        .map(|(source, by)| text(source, by))
        .collect()
}
