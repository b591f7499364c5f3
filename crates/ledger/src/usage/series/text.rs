//! SQL of time series: the rows of a source, the largest groups, sums per group and step, and percentiles of durations.

use meter::RequestResult;
use meter::usage::TokenTotal;

use super::SeriesGroup;
use crate::results;
use crate::usage::scope::UsageOf;
use crate::usage::sums::{results, sums};
use crate::usage_columns::sum_of;

/// Maximum number of groups with a series of their own.
pub(super) const GROUPS_MAX: i64 = 10;

/// The tables that a series is read from. `$1` is the scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeriesSource {
    /// Daily totals per key. `$1`: user, `$2`: first day, `$3`: day after the last, `$4`: key or null.
    DailyKeys,
    /// Daily totals of LLM requests per model. Parameters as above, `$4`: model or null.
    DailyModels,
    /// Daily totals of routes, which contain all requests of users. Parameters as for keys, without `$4`.
    DailyRoutes,
    /// Daily totals of label sets, users and models. Parameters as for keys, `$4`: the name of the label by which rows are
    /// grouped.
    DailyLabels,
    /// Totals per hour in steps of an hour, and events for percentiles. `$1`: user, `$2`: first hour, `$3`: hour after the
    /// last, `$4`: key or null, `$5`: model or null, `$6` and `$7`: start and end of the events;
    /// of several users, `$8` and `$9`: their first id, and the id after the last.
    Hours,
    /// Totals per hour in steps of a day. `$1` to `$5` as above.
    HoursOfDays,
    /// Events, and counts per minute. `$1`: user, `$2`: start, `$3`: end, `$4`: key or null, `$5`: model or null, `$6`: the
    /// length of a step; of several users, `$7` and `$8`: the first id of events, and the id after the last.
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
/// after [`GROUPS_MAX`] has all remaining groups. No join is between two results with a row per request. `only` are further
/// conditions for rows of labels, events and counts.
pub(super) fn text(source: SeriesSource, by: Option<SeriesGroup>, of: UsageOf, only: &str) -> String {
    let sums = sums!();
    let results = results!();
    let read = Reading { by, of, only }.source(source);
    let (plans, read) = match by {
        // Totals have no plan, so the present plan of the user counts.
        Some(SeriesGroup::Plan) => (
            PLANS,
            format!(
                "SELECT coalesce(plan_no, 0) AS group_no, of_user.* FROM ({read}) of_user LEFT JOIN user_plans ON of_no = user_no"
            ),
        ),
        _ => ("", read),
    };
    let Places { top, place, join, count } = Places::from_group(by);
    let (names, names_join) = named(by);
    let timed = match source {
        // Interrupted requests have a duration in totals, and none in events.
        SeriesSource::DailyKeys | SeriesSource::DailyModels => "sum(requests)",
        SeriesSource::DailyRoutes | SeriesSource::DailyLabels | SeriesSource::Hours | SeriesSource::HoursOfDays => {
            "sum(timed_requests)"
        }
        SeriesSource::Requests => "count(duration_us)",
    };
    let Percentiles { columns, latency, latency_join } = Percentiles::from_source(source, by, of);
    format!(
        "WITH {plans}source AS MATERIALIZED ({read}){top},
        figures AS MATERIALIZED (SELECT {place} AS place, point, CAST(min(group_no) AS BIGINT) AS group_no,
            CAST({timed} AS BIGINT) AS timed, {results},
            CAST(sum(duration_us) AS BIGINT) AS duration_us, {sums} FROM source{join} GROUP BY 1, 2){latency}
        SELECT f.*, {count} AS group_count, {columns}, {names} FROM figures f{latency_join}{names_join} ORDER BY f.place, f.point"
    )
}

/// The plan of each user. Plans have no numbers, so each gets its position.
const PLANS: &str = "numbered AS MATERIALIZED (SELECT id, name, row_number() OVER (ORDER BY id) AS no FROM plans),
        user_plans AS MATERIALIZED (SELECT u.no AS user_no, p.no AS plan_no FROM users u JOIN numbered p ON p.id = u.plan_id),
        ";

/// The parts of the query that select the largest groups.
struct Places {
    top: String,
    place: String,
    join: &'static str,
    count: &'static str,
}

impl Places {
    fn from_group(by: Option<SeriesGroup>) -> Self {
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

/// The grouping and the scope of the rows that are read.
#[derive(Clone, Copy)]
struct Reading<'a> {
    by: Option<SeriesGroup>,
    of: UsageOf,
    only: &'a str,
}

impl Reading<'_> {
    /// The column by which the rows are grouped. A plan is found by its user, which has another name until then.
    fn group(self, model: &str, status: &str) -> String {
        match self.by {
            None => "0 AS group_no".to_owned(),
            Some(SeriesGroup::Model) => format!("{model} AS group_no"),
            Some(SeriesGroup::Key) => "coalesce(key_no, 0) AS group_no".to_owned(),
            Some(SeriesGroup::Route) => "route_no AS group_no".to_owned(),
            Some(SeriesGroup::User) => "coalesce(user_no, 0) AS group_no".to_owned(),
            Some(SeriesGroup::Plan) => "user_no AS of_no".to_owned(),
            Some(SeriesGroup::Status) => format!("{status} AS group_no"),
            // Each value has the number of one of the sets that contain it; sets beyond the maximum have -1.
            Some(SeriesGroup::Label) => {
                "coalesce(value_no, CASE WHEN label_set_no < 0 THEN -1 ELSE 0 END) AS group_no".to_owned()
            }
        }
    }

    /// Builds the query for the rows of a source, with the columns that the sums need.
    fn source(self, source: SeriesSource) -> String {
        let summed = TOKENS.map(|(column, _)| column).join(", ");
        let of = self.of.condition();
        let results = "succeeded, refused, errors";
        match source {
            SeriesSource::DailyKeys => self.daily_keys(&summed),
            SeriesSource::DailyModels => format!(
                "SELECT {}, day - $2 AS point, requests, {results}, duration_us, credits, {summed},
                cost_nano, unpriced_requests
                FROM daily_models WHERE {of} AND day >= $2 AND day < $3 AND (model_no = $4 OR $4 IS NULL)",
                self.group("model_no", "0")
            ),
            SeriesSource::DailyRoutes => format!(
                "SELECT {}, day - $2 AS point, requests, {results}, timed_requests, duration_us, credits,
                {summed}, cost_nano, unpriced_requests
                FROM daily_routes WHERE {of} AND day >= $2 AND day < $3",
                self.group("0", "0")
            ),
            SeriesSource::DailyLabels => self.daily_labels(&summed),
            SeriesSource::Hours => self.hours("hour - $2", "hour >= $2 AND hour < $3"),
            // A request counts on the day of its start, and its hour may be of another one.
            SeriesSource::HoursOfDays => {
                self.hours("day - $2 / 24", "day >= $2 / 24 AND day < $3 / 24 AND hour >= $2 - 24 AND hour < $3 + 24")
            }
            SeriesSource::Requests if self.by == Some(SeriesGroup::Model) => self.events(),
            SeriesSource::Requests => format!("{} UNION ALL {}", self.events(), self.minutes()),
        }
    }

    /// Daily totals of label sets; only those of models are of LLM requests.
    fn daily_labels(self, summed: &str) -> String {
        let of = self.of.condition();
        let only = self.only;
        let group = self.group("model_no", "0");
        let valued = match self.by {
            Some(SeriesGroup::Label) => {
                " LEFT JOIN (SELECT label_set_no AS set_no, min(label_set_no) OVER (PARTITION BY value) AS value_no
                FROM label_members WHERE name = $4) valued ON set_no = label_set_no"
            }
            _ => "",
        };
        let models = if self.by == Some(SeriesGroup::Model) { " AND model_no >= 0" } else { "" };
        format!(
            "SELECT {group}, day - $2 AS point, requests, succeeded, refused, errors, timed_requests, duration_us, credits,
            {summed}, cost_nano, unpriced_requests
            FROM daily_labels{valued} WHERE {of} AND day >= $2 AND day < $3{models}{only}"
        )
    }

    /// Daily totals of keys. Those of requests without a key are only in the totals of routes.
    fn daily_keys(self, summed: &str) -> String {
        let of = self.of.condition();
        let group = self.group("0", "0");
        let columns = format!(
            "day - $2 AS point, requests, 0 AS succeeded, 0 AS refused, 0 AS errors,
            CAST(NULL AS BIGINT) AS duration_us, credits, {summed}, cost_nano, unpriced_requests"
        );
        let keys = format!(
            "SELECT {group}, {columns} FROM daily_usage
            WHERE {of} AND day >= $2 AND day < $3 AND (key_no = $4 OR $4 IS NULL)"
        );
        if self.of != UsageOf::All {
            return keys;
        }
        format!(
            "{keys} UNION ALL SELECT 0, {columns} FROM daily_routes
            WHERE user_no = 0 AND day >= $2 AND day < $3 AND CAST($4 AS BIGINT) IS NULL"
        )
    }

    fn hours(self, point: &str, range: &str) -> String {
        let summed = TOKENS.map(|(column, _)| column).join(", ");
        let of = self.of.condition();
        let group = self.group("model_no", "result");
        // The number of requests that are no LLM requests is negative.
        let only = if self.by == Some(SeriesGroup::Model) { " AND model_no >= 0" } else { "" };
        format!(
            "SELECT {group}, {point} AS point, requests, succeeded, refused, errors, timed_requests, duration_us, credits, {summed},
            cost_nano, unpriced_requests
            FROM hourly_usage WHERE {of} AND {range} AND (key_no = $4 OR $4 IS NULL)
            AND (model_no = $5 OR $5 IS NULL){only}"
        )
    }

    /// The condition for events of the scope, whose ids are between two parameters if it has several users.
    fn of_events(self, ids: [u32; 2]) -> String {
        let of = self.of.condition();
        let [first, end] = ids;
        let only = if self.by == Some(SeriesGroup::Model) { " AND format IS NOT NULL" } else { "" };
        let ids = if self.of.is_wide() { format!(" AND id >= ${first} AND id < ${end}") } else { String::new() };
        format!("{of}{ids} AND (key_no = $4 OR $4 IS NULL) AND (model_no = $5 OR $5 IS NULL){only}")
    }

    /// Builds the query for durations of events. Of one user it reads no more than the index `usage_events_user` has, except
    /// for the result.
    fn durations(self) -> String {
        let group = self.group("coalesce(model_no, 0)", results::of_event());
        let of = self.of_events([8, 9]);
        let read = format!(
            "SELECT {group}, started_at / 3600000000 - $2 AS point, duration_us FROM usage_events
            WHERE {of} AND started_at >= $6 AND started_at < $7 AND attempts > 0"
        );
        match self.by {
            Some(SeriesGroup::Plan) => {
                format!(
                    "(SELECT coalesce(plan_no, 0) AS group_no, of_user.* FROM ({read}) of_user LEFT JOIN user_plans ON of_no = user_no) timed"
                )
            }
            _ => format!("({read}) timed"),
        }
    }

    fn events(self) -> String {
        let tokens = TOKENS.map(|(column, total)| format!("{} AS {column}", sum_of("", |of| of == total))).join(", ");
        let counts = counts!();
        let group = self.group("coalesce(model_no, 0)", results::of_event());
        let [succeeded, refused, errors] = RequestResult::ALL.map(results::is);
        let of = self.of_events([7, 8]);
        let only = self.only;
        format!(
            "SELECT {group}, (started_at - $2) / $6 AS point, CASE WHEN {counts} THEN 1 ELSE 0 END AS requests,
            {succeeded} AS succeeded, {refused} AS refused, {errors} AS errors,
            CASE WHEN attempts > 0 THEN duration_us END AS duration_us, CASE WHEN {counts} THEN credits ELSE 0 END AS credits,
            {tokens}, coalesce(cost_nano, 0) AS cost_nano,
            CASE WHEN {counts} AND format IS NOT NULL AND (attempts = 0 OR cost_nano IS NULL OR attempts > 1 AND EXISTS
                (SELECT 1 FROM usage_attempts t WHERE t.event_id = usage_events.id AND t.cost_nano IS NULL)) THEN 1 ELSE 0
                END AS unpriced_requests
            FROM usage_events WHERE {of}{only} AND started_at >= $2 AND started_at < $3"
        )
    }

    fn minutes(self) -> String {
        // Counts are of requests without a model.
        let group = self.group("0", results::OF_COUNTS);
        let of = self.of.condition();
        let only = self.only;
        let [succeeded, refused, errors] = RequestResult::ALL.map(results::of_counts);
        let sent = results::SENT_OF_COUNTS;
        format!(
            "SELECT {group}, (minute * 60000000 - $2) / $6, {sent}, {succeeded}, {refused}, {errors},
            CAST(NULL AS BIGINT), credits, 0, 0, 0, 0, 0, 0, 0, 0 FROM usage_counts WHERE {of}
            AND minute >= $2 / 60000000 AND minute < $3 / 60000000 AND (key_no = $4 OR $4 IS NULL) AND $5 IS NULL{only}"
        )
    }
}

/// The parts of the query that compute percentiles of durations.
struct Percentiles {
    columns: &'static str,
    latency: String,
    latency_join: &'static str,
}

impl Percentiles {
    fn from_source(source: SeriesSource, by: Option<SeriesGroup>, of: UsageOf) -> Self {
        let from = match source {
            SeriesSource::Requests => "source".to_owned(),
            SeriesSource::Hours => Reading { by, of, only: "" }.durations(),
            SeriesSource::DailyKeys
            | SeriesSource::DailyModels
            | SeriesSource::DailyRoutes
            | SeriesSource::DailyLabels
            | SeriesSource::HoursOfDays => {
                let columns =
                    "CAST(NULL AS BIGINT) AS p50_us, CAST(NULL AS BIGINT) AS p95_us, CAST(NULL AS BIGINT) AS p99_us";
                return Self { columns, latency: String::new(), latency_join: "" };
            }
        };
        let Places { place, join, .. } = Places::from_group(by);
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
        Some(SeriesGroup::User) => ("u.name AS name, u.id AS user_id", " LEFT JOIN users u ON u.no = f.group_no"),
        Some(SeriesGroup::Plan) => ("p.name AS name", " LEFT JOIN numbered p ON p.no = f.group_no"),
        Some(SeriesGroup::Status) => ("NULL AS name", ""),
        Some(SeriesGroup::Label) => (
            "CASE WHEN f.group_no < 0 THEN 'other' ELSE v.value END AS name",
            " LEFT JOIN label_members v ON v.label_set_no = f.group_no AND v.name = $4",
        ),
        Some(SeriesGroup::Model | SeriesGroup::Route) => ("n.name", " LEFT JOIN names n ON n.no = f.group_no"),
    }
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(in crate::usage) fn texts() -> Vec<String> {
    use SeriesGroup::{Key, Model, Plan, Route, Status, User};
    use SeriesSource::{DailyKeys, DailyLabels, DailyModels, DailyRoutes, Hours, HoursOfDays, Requests};
    let groups = |source, groups: &[SeriesGroup]| {
        let groups = groups.iter().map(|by| Some(*by)).chain([None]);
        groups.map(move |by| (source, by)).collect::<Vec<_>>()
    };
    let all = [
        groups(DailyKeys, &[Key]),
        groups(DailyModels, &[Model]),
        groups(DailyRoutes, &[Route, User, Plan]),
        groups(Hours, &[Key, Model, Plan, Route, Status, User]),
        groups(HoursOfDays, &[Key, Model, Plan, Route, Status, User]),
        groups(Requests, &[Key, Model, Plan, Route, Status, User]),
    ];
    let all = all.concat().into_iter();
    let all = all.chain([(DailyLabels, Some(SeriesGroup::Label))]).map(|(source, by)| (source, by, ""));
    let labelled =
        [groups(DailyLabels, &[Model, Plan, SeriesGroup::Label, User]), groups(Requests, &[Key, Model, Status])];
    let labelled = labelled.concat().into_iter().map(|(source, by)| (source, by, " AND label_set_no IN (-2, 1)"));
    all.chain(labelled).flat_map(|(source, by, only)| UsageOf::KINDS.map(|of| text(source, by, of, only))).collect()
}
