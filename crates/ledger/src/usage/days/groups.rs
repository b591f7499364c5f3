//! The events of one day by their metadata, and the requests that are stored as counts.

use access::{ClientProgram, Day, RequestId};
use meter::usage::TokenTotal;
use meter::{RequestResult, ToolUse};
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::sql::{StoreKind, unsigned};
use uuid::Uuid;

use super::busy_keys;
use super::event_group::{EVENT_GROUPS_MAX, EventGroup};
use super::merged_groups::MergedGroups;
use super::range::{OF_DAY, bounds};
use super::scope::DayUsageOf;
use super::slices::{DaySlice, SLICE_EVENTS};
use crate::handle::Ledger;
use crate::results;
use crate::usage_columns::sum_of;

/// Maximum number of groups of counts.
const MINUTE_GROUPS_MAX: usize = 10_000;
/// The columns by which events are grouped in any case.
pub(super) const KEYS: &str = "route_no, format, model_no, streamed, status, refusal, outcome, client, tools";
const NANO_PER_DOLLAR: i128 = 1_000_000_000;

/// Ascending bounds of numbers, which divide requests into groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupBounds<'a> {
    /// Bounds of the number of input tokens.
    pub input_tokens: &'a [u64],
    /// Bounds of the number of LLM requests of a key on the day that were not refused, for requests without a session.
    pub requests_per_key: &'a [u64],
    /// Bounds of the number of requests of a session on the day.
    pub requests_per_session: &'a [u64],
    /// Bounds of the seconds since the previous request of a session.
    pub interval_s: &'a [u64],
    /// Whether the bounds of sessions divide only requests whose model called a tool. Others have no such bounds then.
    pub sessions_of_called: bool,
}

impl GroupBounds<'_> {
    const fn has_sessions(&self) -> bool {
        !self.requests_per_session.is_empty() || !self.interval_s.is_empty()
    }

    /// Returns the same bounds without those of sessions.
    pub(super) const fn without_sessions(self) -> Self {
        Self { requests_per_session: &[], interval_s: &[], ..self }
    }

    /// Returns the columns of reached bounds with their expressions; `None` for a column that is the same for all events.
    pub(super) fn columns(self) -> [(&'static str, Option<String>); 4] {
        let GroupBounds { input_tokens, requests_per_key, requests_per_session, interval_s, .. } = self;
        let input = sum_of("", TokenTotal::is_input);
        let reached_by = |value: &str, bounds: &[u64]| {
            let is_bounded = !bounds.is_empty();
            is_bounded.then(|| format!("CASE WHEN {value} IS NULL THEN NULL ELSE {} END", reached(value, bounds)))
        };
        let of_key = (!requests_per_key.is_empty()).then(|| {
            let of_totals = reached("coalesce(made, 0)", requests_per_key);
            format!("CASE WHEN session_id IS NULL THEN {of_totals} ELSE CAST(0 AS BIGINT) END")
        });
        [
            ("input_bounds", (!input_tokens.is_empty()).then(|| reached(&input, input_tokens))),
            ("key_bounds", of_key),
            ("session_bounds", reached_by("sent", requests_per_session)),
            ("interval_bounds", reached_by("interval_s", interval_s)),
        ]
    }

    /// Builds the joins for the bounds of keys and sessions. Only requests with a session are sorted or counted by it, and
    /// only if a rule needs it.
    pub(super) fn joins(self, of: DayUsageOf) -> String {
        let events = format!("FROM usage_events WHERE {} AND {OF_DAY} AND session_id IS NOT NULL", of.condition());
        let mut joins = String::new();
        if !self.requests_per_key.is_empty() {
            joins.push_str(&busy_keys::join(of));
        }
        if !self.requests_per_session.is_empty() {
            joins.push_str(&format!(
                " LEFT JOIN (SELECT session_id AS of_session, count(*) AS sent {events} GROUP BY session_id) s ON s.of_session = session_id"
            ));
        }
        if !self.interval_s.is_empty() {
            joins.push_str(&format!(
                " LEFT JOIN (SELECT id AS of_id, (started_at - lag(started_at) OVER (PARTITION BY session_id ORDER BY started_at, id))
                    / 1000000 AS interval_s {events}) i ON i.of_id = id"
            ));
        }
        joins
    }
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
    input_bounds: Option<i64>,
    key_bounds: Option<i64>,
    client: Option<i64>,
    tools: Option<i64>,
    session_bounds: Option<i64>,
    interval_bounds: Option<i64>,
    requests: i64,
    used_tokens: i64,
    cost_dollars: i64,
    cost_rest: i64,
    first: Uuid,
    last: Uuid,
}

/// Builds the query for the groups of a slice. `called`: only requests whose model called a tool.
fn events(of: DayUsageOf, kind: StoreKind, bounds: GroupBounds<'_>, called: bool) -> String {
    let condition = of.condition();
    let tokens = sum_of("", |_| true);
    let result = results::of_event();
    // PostgreSQL has no least UUID.
    let (first, last) = match kind {
        StoreKind::Sqlite => ("min(id)", "max(id)"),
        StoreKind::Postgres => ("CAST(min(CAST(id AS TEXT)) AS UUID)", "CAST(max(CAST(id AS TEXT)) AS UUID)"),
    };
    // Each column by which events are grouped is stored and compared for each event.
    let mut keys = KEYS.to_owned();
    let mut divided = String::new();
    let mut constants = String::new();
    for (name, expression) in bounds.columns() {
        match expression {
            Some(expression) => {
                keys.push_str(&format!(", {name}"));
                divided.push_str(&format!(", {expression} AS {name}"));
            }
            None => constants.push_str(&format!(", CAST(NULL AS BIGINT) AS {name}")),
        }
    }
    let joins = bounds.joins(of);
    let of_called = if called { format!(" AND tools = {}", ToolUse::Called.number()) } else { String::new() };
    format!(
        "SELECT g.*, CAST({result} AS BIGINT) AS result{constants}, route.name AS route, model.name AS model FROM (
            SELECT {keys},
                CAST(count(*) AS BIGINT) AS requests, CAST(sum(tokens) AS BIGINT) AS used_tokens,
                CAST(sum(cost_nano / 1000000000) AS BIGINT) AS cost_dollars,
                CAST(sum(cost_nano % 1000000000) AS BIGINT) AS cost_rest, {first} AS first, {last} AS last
            FROM (SELECT id, {KEYS}, coalesce(cost_nano, 0) - coalesce(own_cost_nano, 0) AS cost_nano, {tokens} AS tokens{divided}
                FROM usage_events{joins} WHERE {condition} AND {OF_DAY}{of_called}) e
            GROUP BY {keys} ORDER BY requests DESC, first LIMIT {EVENT_GROUPS_MAX}) g
        LEFT JOIN names route ON route.no = g.route_no LEFT JOIN names model ON model.no = g.model_no"
    )
}

/// Returns the expression for the number of bounds that an expression reaches.
fn reached(value: &str, bounds: &[u64]) -> String {
    let mut text = String::from("CAST(0 AS BIGINT)");
    for at in bounds {
        text.push_str(&format!(" + CASE WHEN {value} >= {at} THEN 1 ELSE 0 END"));
    }
    format!("CAST({text} AS BIGINT)")
}

/// Returns a stored number of a closed list.
fn small(stored: i64) -> u8 {
    u8::try_from(stored).unwrap_or(u8::MAX)
}

/// Builds the query for the counts of the minutes from `$2` to `$3` that belong to the day `$4`.
fn minutes(of: DayUsageOf) -> String {
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
    /// Returns the events of a scope on one day, grouped by metadata and by bounds, at most
    /// [`EVENT_GROUPS_MAX`] groups. It reads the events of the day, those of sessions once more if bounds need them, and the
    /// totals of keys.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn event_groups(
        &self,
        of: impl Into<DayUsageOf>,
        day: Day,
        bounds: GroupBounds<'_>,
    ) -> Result<Vec<EventGroup>, DatabaseError> {
        let of = of.into();
        let bounds = if self.has_busy_key(of, day, bounds.requests_per_key).await? {
            bounds
        } else {
            GroupBounds { requests_per_key: &[], ..bounds }
        };
        if bounds.has_sessions() && !bounds.sessions_of_called {
            return self.groups_of(of, bounds, false, DaySlice::whole(day)).await;
        }
        let slices = self.slices(of, day, SLICE_EVENTS).await?;
        let plain = bounds.without_sessions();
        let (even, odd) = tokio::try_join!(
            self.merged(of, plain, slices.iter().step_by(2)),
            self.merged(of, plain, slices.iter().skip(1).step_by(2)),
        )?;
        let mut groups = even;
        groups.add_all(odd.into_groups());
        if bounds.has_sessions() && groups.remove_called() {
            groups.add_all(self.groups_of(of, bounds, true, DaySlice::whole(day)).await?);
        }
        Ok(groups.into_groups())
    }

    /// Returns the groups of some slices.
    pub(super) async fn merged(
        &self,
        of: DayUsageOf,
        bounds: GroupBounds<'_>,
        slices: impl Iterator<Item = &DaySlice>,
    ) -> Result<MergedGroups, DatabaseError> {
        let mut groups = MergedGroups::default();
        for slice in slices {
            groups.add_all(self.groups_of(of, bounds, false, *slice).await?);
        }
        Ok(groups)
    }

    /// Returns the groups of a slice, the largest first.
    pub(super) async fn groups_of(
        &self,
        of: DayUsageOf,
        bounds: GroupBounds<'_>,
        called: bool,
        slice: DaySlice,
    ) -> Result<Vec<EventGroup>, DatabaseError> {
        let text = events(of, self.store.kind(), bounds, called);
        let query = slice.bind(of.bind(self.store.query(AssertSqlSafe(text))));
        let rows: Vec<GroupRow> = query.all().await?;
        Ok(rows.into_iter().map(EventGroup::from).collect())
    }

    /// Returns the requests of a scope on one day that are stored as counts.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn minute_groups(&self, of: impl Into<DayUsageOf>, day: Day) -> Result<Vec<MinuteGroup>, DatabaseError> {
        let of = of.into();
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
            input_bounds: row.input_bounds.map_or(0, |bounds| usize::try_from(bounds).unwrap_or(0)),
            key_bounds: row.key_bounds.map_or(0, |bounds| usize::try_from(bounds).unwrap_or(0)),
            client: ClientProgram::of_number(small(row.client.unwrap_or(0))),
            tools: row.tools.map(|tools| ToolUse::of_number(small(tools))),
            session_bounds: row.session_bounds.map(|bounds| usize::try_from(bounds).unwrap_or(0)),
            interval_bounds: row.interval_bounds.map(|bounds| usize::try_from(bounds).unwrap_or(0)),
            requests: unsigned(row.requests),
            tokens: unsigned(row.used_tokens),
            cost_nano: i128::from(row.cost_dollars) * NANO_PER_DOLLAR + i128::from(row.cost_rest),
            ids: [RequestId(row.first), RequestId(row.last)],
            between: None,
        }
    }
}

/// Bounds of each kind, for the tests of SQL texts.
#[cfg(test)]
pub(super) const ALL_BOUNDS: GroupBounds<'static> = GroupBounds {
    input_tokens: &[1, 9],
    requests_per_key: &[9],
    requests_per_session: &[3],
    interval_s: &[60],
    sessions_of_called: true,
};

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts(kind: StoreKind) -> Vec<String> {
    let plain = GroupBounds::default();
    let texts = |of| [events(of, kind, plain, false), events(of, kind, ALL_BOUNDS, true), minutes(of)];
    DayUsageOf::kinds().into_iter().flat_map(texts).collect()
}
