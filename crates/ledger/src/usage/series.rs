//! Time series of usage: figures per step of time and group.
//!
//! Steps of a day read daily totals, and steps of an hour totals per hour, key, model and route: their number does not
//! depend on the number of requests. Steps of a minute read events and counts per minute. Percentiles of hours read
//! durations from an index of events. Each answer reads at most [`SERIES_ROWS_MAX`] rows of each of these tables.

mod charged;
mod text;

use access::{KeyNo, LabelId, Timestamp, UserId};
use meter::RequestResult;
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::sql::{Query, micros, timestamp, unsigned};
use uuid::Uuid;

use super::USAGE_FROM;
use super::requests::RequestKey;
use super::scope::{ID_SLACK, UsageOf};
use super::sums::{ResultTotals, ResultsRow, SumsRow};
use crate::handle::Ledger;
use crate::row_ids::first_id;
use crate::usage_totals::UsageTotals;

use text::{GROUPS_MAX, SeriesSource};

/// Maximum number of events, of rows of counts, and of totals per hour that one answer reads: a row costs at most about
/// 4 µs. A series of more rows begins later than requested; percentiles of more events begin later than their series.
pub const SERIES_ROWS_MAX: u32 = 8_000;
/// The same for series of several users, which only admins read.
pub const SERIES_ROWS_OF_SEVERAL_MAX: u32 = 100_000;

const MICROS_PER_MINUTE: u64 = 60_000_000;
const MICROS_PER_HOUR: u64 = 60 * MICROS_PER_MINUTE;
const MICROS_PER_DAY: u64 = 24 * MICROS_PER_HOUR;

/// Builds the query for the time of the newest event that an answer does not read: of events between `$2` and `$3`, the one
/// after `$4` newer ones. Ids are in the order of their requests (UUIDv7), so events of several users are found by id.
fn events_stop(of: UsageOf) -> String {
    let condition = of.condition();
    let (ids, order) = if of.is_wide() { (" AND id >= $5 AND id < $6", "id") } else { ("", "started_at") };
    format!(
        "SELECT started_at FROM usage_events WHERE {condition} AND started_at >= $2 AND started_at < $3{ids}
        ORDER BY {order} DESC LIMIT 1 OFFSET $4"
    )
}

/// Builds the same query for rows of counts, or of totals per hour.
fn totals_stop(of: UsageOf, [table, column]: [&str; 2]) -> String {
    let condition = of.condition();
    format!(
        "SELECT {column} FROM {table} WHERE {condition} AND {column} >= $2 AND {column} < $3
        ORDER BY {column} DESC LIMIT 1 OFFSET $4"
    )
}

const COUNTS: [&str; 2] = ["usage_counts", "minute"];
const HOURS: [&str; 2] = ["hourly_usage", "hour"];

/// The property by which requests are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesGroup {
    /// The model that the client named. Only LLM requests.
    Model,
    /// The key of the request.
    Key,
    /// The route of the request.
    Route,
    /// The user of the request's key.
    User,
    /// The plan that this user has now.
    Plan,
    /// The result of the request.
    Status,
    /// The value of the label [`SeriesFilter::label`]. Only in steps of a day, without a key and a model.
    Label,
}

/// The length of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesStep {
    /// A step of 60 seconds.
    Minute,
    /// A step of 60 minutes.
    Hour,
    /// A whole day in UTC.
    Day,
}

/// The range and the grouping of requested series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesFilter {
    /// The grouping; `None` is one series of all requests.
    pub by: Option<SeriesGroup>,
    /// The length of each step.
    pub step: SeriesStep,
    /// The first step contains this time.
    pub since: Timestamp,
    /// The last step begins before this time.
    pub until: Timestamp,
    /// Only requests with this key.
    pub key: Option<KeyNo>,
    /// Only LLM requests for this model, as the client named it.
    pub model: Option<String>,
    /// The name of the label by which requests are grouped.
    pub label: Option<String>,
    /// Only requests with this label. In steps of a minute, or in steps of a day by user, plan, model or label without a key.
    pub with_label: Option<LabelId>,
}

/// Time series over whole steps from `since` to `until`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageSeries {
    /// Start of the first step.
    pub since: Timestamp,
    /// End of the last step.
    pub until: Timestamp,
    /// Whether the series begin later than requested: the range has more rows than an answer reads, or retention may
    /// have deleted usage of it.
    pub truncated: bool,
    /// Figures of a step without requests: zeros, and `None` for what the source does not count.
    pub unused: SeriesFigures,
    /// One series per group, most requests first: at most ten, and one of the remaining groups.
    pub series: Vec<GroupSeries>,
}

/// The series of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSeries {
    /// The group of the series.
    pub name: GroupName,
    /// Figures of each step with requests: its number, counted from 0, in order.
    pub points: Vec<(u64, SeriesFigures)>,
}

/// The group of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupName {
    /// All requests of the filter.
    All,
    /// Requests for a model; `None` is without a known model name.
    Model(Option<String>),
    /// Requests with a key; `None` if the store does not know it.
    Key(Option<RequestKey>),
    /// Requests of a route.
    Route(Option<String>),
    /// Requests of a user; `None` if the store does not know it.
    User(Option<SeriesUser>),
    /// Requests of the users with a plan now; `None` if the store does not know the users.
    Plan(Option<String>),
    /// Requests with a result.
    Status(RequestResult),
    /// Requests with a value of the label; `None` without the label. The value `other` also has the requests of label sets
    /// beyond the maximum number.
    Label(Option<String>),
    /// Requests of this number of groups, which have fewer requests than the others.
    Rest(u64),
}

/// The user of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesUser {
    /// Public id of the user.
    pub id: UserId,
    /// Name that is shown to people.
    pub name: String,
}

/// Figures of a group in a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeriesFigures {
    /// Usage of requests that count.
    pub totals: UsageTotals,
    /// All requests by result, including those that are in no total; `None` if the source does not count them.
    pub results: Option<ResultTotals>,
    /// Mean duration in microseconds; `None` without requests, and if the source does not record durations.
    pub mean_us: Option<u64>,
    /// 50th, 95th and 99th percentile (nearest rank) of the duration in microseconds, of events that reached an upstream.
    /// `None` in steps of a day, and in hours before the newest [`SERIES_ROWS_MAX`] events of the range.
    pub quantiles_us: Option<[u64; 3]>,
}

#[derive(sqlx_macros::FromRow)]
struct SeriesRow {
    place: i64,
    point: i64,
    group_count: i64,
    group_no: i64,
    /// Number of requests with a duration.
    timed: i64,
    #[sqlx(flatten)]
    results: ResultsRow,
    duration_us: Option<i64>,
    #[sqlx(flatten)]
    sums: SumsRow,
    p50_us: Option<i64>,
    p95_us: Option<i64>,
    p99_us: Option<i64>,
    name: Option<String>,
    // Only grouping by key selects these columns.
    #[sqlx(default)]
    key_id: Option<Uuid>,
    #[sqlx(default)]
    prefix: Option<String>,
    #[sqlx(default)]
    last4: Option<String>,
    #[sqlx(default)]
    user_id: Option<Uuid>,
}

impl SeriesStep {
    /// Returns the length in microseconds.
    #[must_use]
    pub const fn micros(self) -> u64 {
        match self {
            Self::Minute => MICROS_PER_MINUTE,
            Self::Hour => MICROS_PER_HOUR,
            Self::Day => MICROS_PER_DAY,
        }
    }

    /// Returns the start of the step that contains `at`.
    const fn start(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0 - at.0 % self.micros())
    }

    /// Returns the start of the step after the one that contains `at`.
    const fn after(self, at: Timestamp) -> Timestamp {
        Timestamp(self.start(at).0.saturating_add(self.micros()))
    }

    /// Returns the start of the first step that does not begin before `at`.
    const fn start_from(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.div_ceil(self.micros()).saturating_mul(self.micros()))
    }
}

impl SeriesFilter {
    /// The source that has the figures, with as few rows as possible.
    const fn source(&self) -> SeriesSource {
        match (self.step, self.by, self.key, &self.model) {
            (_, Some(SeriesGroup::Label), ..) => SeriesSource::DailyLabels,
            (SeriesStep::Minute, ..) => SeriesSource::Requests,
            (SeriesStep::Day, ..) if self.with_label.is_some() => SeriesSource::DailyLabels,
            (SeriesStep::Hour, ..) => SeriesSource::Hours,
            (SeriesStep::Day, Some(SeriesGroup::Key), _, None)
            | (SeriesStep::Day, None | Some(SeriesGroup::User | SeriesGroup::Plan), Some(_), None) => {
                SeriesSource::DailyKeys
            }
            (SeriesStep::Day, Some(SeriesGroup::Model), None, _) | (SeriesStep::Day, None, None, Some(_)) => {
                SeriesSource::DailyModels
            }
            (SeriesStep::Day, None | Some(SeriesGroup::Route | SeriesGroup::User | SeriesGroup::Plan), None, None) => {
                SeriesSource::DailyRoutes
            }
            (SeriesStep::Day, ..) => SeriesSource::HoursOfDays,
        }
    }
}

impl Ledger {
    /// Returns time series of a scope's usage, as far as ingest has stored it.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn usage_series(
        &self,
        of: impl Into<UsageOf>,
        filter: &SeriesFilter,
    ) -> Result<UsageSeries, DatabaseError> {
        let of = of.into();
        let since = filter.step.start(filter.since);
        let until = filter.step.start_from(filter.until);
        let source = filter.source();
        let unused = SeriesFigures::unused(source);
        let until = until.max(since);
        let mut series = UsageSeries { since, until, truncated: false, unused, series: Vec::new() };
        let model = match &filter.model {
            None => None,
            Some(name) => match self.model_no(name).await? {
                Some(no) => Some(no),
                // No client ever requested the model, so there is no row.
                None => return Ok(series.with(Vec::new(), filter)),
            },
        };
        if let Some(from) = self.complete_from(of, &series, filter).await? {
            series.since = from.min(series.until);
            series.truncated = true;
        }
        let only = self.only(source, filter, model).await?;
        let text = text::text(source, filter.by, of, &only);
        let query = self.store.query(AssertSqlSafe(text));
        let query = of.bind(if only.is_empty() { query } else { query.once() });
        let key = filter.key.map(|key| key.0);
        let days = |at: Timestamp| i64::from(at.day().0);
        let query = match source {
            SeriesSource::DailyKeys => query.bind(days(series.since)).bind(days(series.until)).bind(key),
            SeriesSource::DailyModels => query.bind(days(series.since)).bind(days(series.until)).bind(model),
            SeriesSource::DailyRoutes => query.bind(days(series.since)).bind(days(series.until)),
            SeriesSource::DailyLabels => {
                let query = query.bind(days(series.since)).bind(days(series.until));
                match &filter.label {
                    Some(name) if filter.by == Some(SeriesGroup::Label) => query.bind(name.clone()),
                    Some(_) | None => query,
                }
            }
            SeriesSource::HoursOfDays => {
                query.bind(hours(series.since)).bind(hours(series.until)).bind(key).bind(model)
            }
            SeriesSource::Hours => {
                let timed = self.events_from(of, &series, filter.step).await?.unwrap_or(series.since);
                let query = query.bind(hours(series.since)).bind(hours(series.until)).bind(key).bind(model);
                let query = query.bind(micros(timed)).bind(micros(series.until));
                bind_ids(query, of, timed, series.until)
            }
            SeriesSource::Requests => {
                let query = query.bind(micros(series.since)).bind(micros(series.until)).bind(key).bind(model);
                let query = query.bind(micros(Timestamp(filter.step.micros())));
                bind_ids(query, of, series.since, series.until)
            }
        };
        let rows: Vec<SeriesRow> = query.all().await?;
        let mut series = series.with(rows, filter);
        if source == SeriesSource::DailyRoutes && filter.by.is_none() {
            self.add_charged(&mut series, of).await?;
        }
        Ok(series)
    }

    /// Returns the conditions beside those of the source's parameters.
    async fn only(
        &self,
        source: SeriesSource,
        filter: &SeriesFilter,
        model: Option<i64>,
    ) -> Result<String, DatabaseError> {
        let mut only = match filter.with_label {
            Some(label) => self.label_condition(label).await?,
            None => String::new(),
        };
        if source == SeriesSource::DailyLabels
            && let Some(no) = model
        {
            only.push_str(&format!(" AND model_no = {no}"));
        }
        Ok(only)
    }

    /// Returns the start of the first step whose rows are kept, and which an answer can read completely; `None` if
    /// these are all steps.
    async fn complete_from(
        &self,
        of: UsageOf,
        range: &UsageSeries,
        filter: &SeriesFilter,
    ) -> Result<Option<Timestamp>, DatabaseError> {
        let readable = match filter.source() {
            SeriesSource::DailyKeys
            | SeriesSource::DailyModels
            | SeriesSource::DailyRoutes
            | SeriesSource::DailyLabels => return Ok(None),
            SeriesSource::Hours | SeriesSource::HoursOfDays => {
                let stop = self.series_stop(HOURS, of, [hours(range.since), hours(range.until)]).await?;
                let stop = stop.map(|hour| Timestamp(unsigned(hour).saturating_mul(MICROS_PER_HOUR)));
                stop.map(|at| filter.step.after(at))
            }
            SeriesSource::Requests => {
                let events = self.events_from(of, range, filter.step).await?;
                let minute = |at: Timestamp| micros(Timestamp(at.0 / MICROS_PER_MINUTE));
                let counts = self.series_stop(COUNTS, of, [minute(range.since), minute(range.until)]).await?;
                let counts = counts.map(|minute| Timestamp(unsigned(minute).saturating_mul(MICROS_PER_MINUTE)));
                events.max(counts.map(|at| filter.step.after(at)))
            }
        };
        let (from,): (i64,) = self.store.query(USAGE_FROM).one().await?;
        let kept = (timestamp(from) > range.since).then(|| filter.step.start_from(timestamp(from)));
        Ok(readable.max(kept))
    }

    /// Returns the start of the first step whose events an answer can read completely; `None` if it can read all.
    async fn events_from(
        &self,
        of: UsageOf,
        range: &UsageSeries,
        step: SeriesStep,
    ) -> Result<Option<Timestamp>, DatabaseError> {
        let query = of.bind(self.store.query(AssertSqlSafe(events_stop(of))));
        let query = query.bind(micros(range.since)).bind(micros(range.until)).bind(rows_max(of));
        let stop: Option<(i64,)> = bind_ids(query, of, range.since, range.until).find().await?;
        Ok(stop.map(|(at,)| step.after(timestamp(at))))
    }

    /// Returns the place of the newest row that an answer does not read.
    async fn series_stop(
        &self,
        table: [&str; 2],
        of: UsageOf,
        [since, until]: [i64; 2],
    ) -> Result<Option<i64>, DatabaseError> {
        let query = of.bind(self.store.query(AssertSqlSafe(totals_stop(of, table)))).bind(since).bind(until);
        let stop: Option<(i64,)> = query.bind(rows_max(of)).find().await?;
        Ok(stop.map(|(at,)| at))
    }
}

/// Returns the number of rows that an answer reads at most.
fn rows_max(of: UsageOf) -> i64 {
    i64::from(if of.is_wide() { SERIES_ROWS_OF_SEVERAL_MAX } else { SERIES_ROWS_MAX })
}

/// Binds the ids between which the events of several users are searched.
fn bind_ids(query: Query<'_>, of: UsageOf, since: Timestamp, until: Timestamp) -> Query<'_> {
    if !of.is_wide() {
        return query;
    }
    query.bind(first_id(since.before(ID_SLACK))).bind(first_id(until.after(ID_SLACK)))
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    let stops = |of| [events_stop(of), totals_stop(of, COUNTS), totals_stop(of, HOURS)];
    UsageOf::KINDS.into_iter().flat_map(stops).chain(text::texts()).collect()
}

/// Returns the number of the hour that begins at `at`, or contains it.
fn hours(at: Timestamp) -> i64 {
    micros(Timestamp(at.0 / MICROS_PER_HOUR))
}

impl UsageSeries {
    fn with(mut self, rows: Vec<SeriesRow>, filter: &SeriesFilter) -> Self {
        let mut last = None;
        for row in rows {
            if last != Some(row.place) {
                last = Some(row.place);
                self.series.push(GroupSeries { name: row.group(filter.by), points: Vec::new() });
            }
            if let Some(group) = self.series.last_mut() {
                group.points.push((unsigned(row.point), row.figures(filter.source())));
            }
        }
        if filter.by.is_none() && self.series.is_empty() {
            self.series.push(GroupSeries { name: GroupName::All, points: Vec::new() });
        }
        self
    }
}

impl SeriesFigures {
    fn unused(source: SeriesSource) -> Self {
        let results = (source != SeriesSource::DailyKeys).then(ResultTotals::default);
        Self { results, ..Self::default() }
    }
}

impl SeriesRow {
    fn group(&self, by: Option<SeriesGroup>) -> GroupName {
        let Some(by) = by else { return GroupName::All };
        if self.place > GROUPS_MAX {
            return GroupName::Rest(unsigned(self.group_count - GROUPS_MAX));
        }
        match by {
            SeriesGroup::Model => GroupName::Model(self.name.clone()),
            SeriesGroup::Route => GroupName::Route(self.name.clone()),
            SeriesGroup::Plan => GroupName::Plan(self.name.clone()),
            SeriesGroup::Label => GroupName::Label(self.name.clone()),
            SeriesGroup::User => {
                let named = self.user_id.zip(self.name.clone());
                GroupName::User(named.map(|(id, name)| SeriesUser { id: UserId(id), name }))
            }
            SeriesGroup::Status => GroupName::Status(RequestResult::of_number(self.group_no)),
            SeriesGroup::Key => {
                let named = (self.key_id, self.name.clone(), self.prefix.clone(), self.last4.clone());
                GroupName::Key(match named {
                    (Some(id), Some(label), Some(prefix), Some(last4)) => {
                        Some(RequestKey { id: access::KeyId(id), label, prefix, last4 })
                    }
                    _ => None,
                })
            }
        }
    }

    fn figures(&self, source: SeriesSource) -> SeriesFigures {
        let has_errors = source != SeriesSource::DailyKeys;
        let quantiles = self.p50_us.zip(self.p95_us).zip(self.p99_us);
        SeriesFigures {
            totals: UsageTotals::from(&self.sums),
            results: has_errors.then(|| ResultTotals::from(&self.results)),
            mean_us: self.duration_us.and_then(|sum| unsigned(sum).checked_div(unsigned(self.timed))),
            quantiles_us: quantiles.map(|((p50, p95), p99)| [p50, p95, p99].map(unsigned)),
        }
    }
}
