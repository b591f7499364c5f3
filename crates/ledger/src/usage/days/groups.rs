//! The events of one day by their metadata, and the requests that are stored as counts.

use access::{Day, RequestId};
use meter::RequestResult;
use meter::usage::TokenTotal;
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::sql::{StoreKind, unsigned};
use uuid::Uuid;

use super::range::{OF_DAY, bind_day, bounds};
use crate::handle::Ledger;
use crate::results;
use crate::usage::scope::UsageOf;
use crate::usage_columns::sum_of;

/// Maximum number of groups of events; groups with the fewest requests are omitted.
pub const EVENT_GROUPS_MAX: usize = 50_000;
/// Maximum number of groups of counts.
const MINUTE_GROUPS_MAX: usize = 10_000;
const NANO_PER_DOLLAR: i128 = 1_000_000_000;

/// Events of one day with equal metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventGroup {
    /// Name of the route.
    pub route: Option<String>,
    /// Name of the format; `None` for ordinary APIs.
    pub format: Option<String>,
    /// Name of the model as the client wrote it.
    pub model: Option<String>,
    /// Whether the responses were streams of events.
    pub streamed: bool,
    /// The status that the clients received.
    pub status: u16,
    /// The code of the refusal, if Tollgate refused the requests.
    pub refusal: Option<String>,
    /// The outcome of the requests.
    pub outcome: String,
    /// Whether the requests succeeded, failed or were refused.
    pub result: RequestResult,
    /// The number of bounds of input tokens that the requests reach.
    pub input_bounds: usize,
    /// The number of requests.
    pub requests: u64,
    /// The number of tokens.
    pub tokens: u64,
    /// The sum of the known costs in nano-USD.
    pub cost_nano: i128,
    /// The oldest and the newest request.
    pub ids: [RequestId; 2],
}

/// Requests of one day and route that are stored as counts per minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinuteGroup {
    /// Name of the route.
    pub route: Option<String>,
    /// The class of the status; 10 is added if no upstream was reached, and 20 for refusals.
    pub status_class: u8,
    /// The number of requests.
    pub requests: u64,
}

#[derive(sqlx_macros::FromRow)]
struct GroupRow {
    route: Option<String>,
    format: Option<String>,
    model: Option<String>,
    streamed: bool,
    status: i64,
    refusal: Option<String>,
    outcome: String,
    result: i64,
    input_bounds: i64,
    requests: i64,
    tokens: i64,
    cost_dollars: i64,
    cost_rest: i64,
    first: Uuid,
    last: Uuid,
}

/// Builds the query for the groups of a day. `bounds` are ascending bounds of input tokens, which are part of the group.
fn events(of: UsageOf, kind: StoreKind, bounds: &[u64]) -> String {
    let condition = of.condition();
    let (tokens, input) = (sum_of("", |_| true), sum_of("", TokenTotal::is_input));
    let mut bound = String::from("CAST(0 AS BIGINT)");
    for at in bounds {
        bound.push_str(&format!(" + CASE WHEN {input} >= {at} THEN 1 ELSE 0 END"));
    }
    let result = results::of_event();
    // PostgreSQL has no least UUID.
    let (first, last) = match kind {
        StoreKind::Sqlite => ("min(id)", "max(id)"),
        StoreKind::Postgres => ("CAST(min(CAST(id AS TEXT)) AS UUID)", "CAST(max(CAST(id AS TEXT)) AS UUID)"),
    };
    format!(
        "SELECT g.*, route.name AS route, model.name AS model FROM (
            SELECT route_no, format, model_no, streamed, status, refusal, outcome, result, input_bounds,
                CAST(count(*) AS BIGINT) AS requests, CAST(sum(tokens) AS BIGINT) AS tokens,
                CAST(sum(coalesce(cost_nano, 0) / 1000000000) AS BIGINT) AS cost_dollars,
                CAST(sum(coalesce(cost_nano, 0) % 1000000000) AS BIGINT) AS cost_rest, {first} AS first, {last} AS last
            FROM (SELECT id, route_no, format, model_no, streamed, status, refusal, outcome, cost_nano,
                CAST({result} AS BIGINT) AS result, {tokens} AS tokens, CAST({bound} AS BIGINT) AS input_bounds
                FROM usage_events WHERE {condition} AND {OF_DAY}) e
            GROUP BY route_no, format, model_no, streamed, status, refusal, outcome, result, input_bounds
            ORDER BY requests DESC, first LIMIT {EVENT_GROUPS_MAX}) g
        LEFT JOIN names route ON route.no = g.route_no LEFT JOIN names model ON model.no = g.model_no
        ORDER BY g.requests DESC, g.first"
    )
}

/// Builds the query for the counts of the minutes from `$2` to `$3` that belong to the day `$4`.
fn minutes(of: UsageOf) -> String {
    let condition = of.condition();
    format!(
        "SELECT n.name, c.status_class, c.requests FROM (SELECT route_no, status_class,
            CAST(sum(requests) AS BIGINT) AS requests FROM usage_counts
            WHERE {condition} AND minute >= $2 AND minute < $3 AND day = $4
            GROUP BY route_no, status_class ORDER BY requests DESC, route_no, status_class LIMIT {MINUTE_GROUPS_MAX}) c
        LEFT JOIN names n ON n.no = c.route_no ORDER BY c.requests DESC, c.route_no, c.status_class"
    )
}

impl Ledger {
    /// Returns the events of a scope on one day, grouped by metadata and by the bounds of input tokens, at most
    /// [`EVENT_GROUPS_MAX`] groups. It reads the events of the day.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn event_groups(&self, of: UsageOf, day: Day, bounds: &[u64]) -> Result<Vec<EventGroup>, DatabaseError> {
        let text = events(of, self.store.kind(), bounds);
        let query = bind_day(of.bind(self.store.query(AssertSqlSafe(text)).once()), day);
        let rows: Vec<GroupRow> = query.all().await?;
        Ok(rows.into_iter().map(EventGroup::from).collect())
    }

    /// Returns the requests of a scope on one day that are stored as counts.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn minute_groups(&self, of: UsageOf, day: Day) -> Result<Vec<MinuteGroup>, DatabaseError> {
        let (from, until) = bounds(day);
        let minute = |seconds: u64| i64::try_from(seconds / 60).unwrap_or(i64::MAX);
        let query = of.bind(self.store.query(AssertSqlSafe(minutes(of))));
        let query = query.bind(minute(from.unix_seconds())).bind(minute(until.unix_seconds()));
        let rows: Vec<(Option<String>, i64, i64)> = query.bind(i64::from(day.0)).all().await?;
        let groups = rows.into_iter().map(|(route, status_class, requests)| MinuteGroup {
            route,
            status_class: u8::try_from(status_class).unwrap_or(u8::MAX),
            requests: unsigned(requests),
        });
        Ok(groups.collect())
    }
}

impl From<GroupRow> for EventGroup {
    fn from(row: GroupRow) -> Self {
        let result = RequestResult::ALL.into_iter().find(|result| result.number() == row.result);
        Self {
            route: row.route,
            format: row.format,
            model: row.model,
            streamed: row.streamed,
            status: u16::try_from(row.status).unwrap_or(0),
            refusal: row.refusal,
            outcome: row.outcome,
            result: result.unwrap_or(RequestResult::Failed),
            input_bounds: usize::try_from(row.input_bounds).unwrap_or(0),
            requests: unsigned(row.requests),
            tokens: unsigned(row.tokens),
            cost_nano: i128::from(row.cost_dollars) * NANO_PER_DOLLAR + i128::from(row.cost_rest),
            ids: [RequestId(row.first), RequestId(row.last)],
        }
    }
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts(kind: StoreKind) -> Vec<String> {
    UsageOf::KINDS.into_iter().flat_map(|of| [events(of, kind, &[]), events(of, kind, &[1, 9]), minutes(of)]).collect()
}
