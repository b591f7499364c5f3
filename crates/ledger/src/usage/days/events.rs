//! The events of one day, page by page: those of one user in the order of their begin, and others in the order of their ids.

use access::{Day, NanoUsd, RequestId, Timestamp, UserId};
use meter::{RequestResult, TraceId};
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::sql::{micros, timestamp, unsigned};
use uuid::Uuid;

use super::range::{OF_DAY, bind_day_from};
use super::scope::DayUsageOf;
use crate::handle::Ledger;
use crate::recorded_labels::RecordedLabels;
use crate::results;
use crate::usage::requests::RequestPlace;
use crate::usage_columns::sum_of;

/// Maximum number of events in a page.
pub const DAY_EVENTS_MAX: u32 = 2_000;

/// One request of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayEvent {
    /// Id of the request.
    pub id: RequestId,
    /// Time at which its head had arrived.
    pub started_at: Timestamp,
    /// User of the request; `None` without a known user.
    pub user: Option<UserId>,
    /// Name of the route.
    pub route: Option<String>,
    /// Name of the format; `None` for ordinary APIs.
    pub format: Option<String>,
    /// Name of the model as the client wrote it.
    pub model: Option<String>,
    /// Provider of the last attempt.
    pub provider: Option<String>,
    /// Whether the response was a stream of events.
    pub streamed: bool,
    /// Status that the client received.
    pub status: u16,
    /// Outcome of the request.
    pub outcome: String,
    /// Code of the refusal, if Tollgate refused the request.
    pub refusal: Option<String>,
    /// Number of tokens of all classes.
    pub tokens: u64,
    /// Whether the request succeeded, failed or was refused.
    pub result: RequestResult,
    /// Known part of the cost that the operator pays.
    pub cost: Option<NanoUsd>,
    /// Known part of the cost that the user's own credential paid; `None` without such a credential.
    pub own_cost: Option<NanoUsd>,
    /// Microseconds from the head of the request to the end of the response.
    pub duration_us: u64,
    /// Trace of the request, if one exists.
    pub trace: Option<TraceId>,
    /// Labels that the request was made under.
    pub labels: RecordedLabels,
}

#[derive(sqlx_macros::FromRow)]
struct EventRow {
    id: Uuid,
    started_at: i64,
    user_id: Option<Uuid>,
    route: Option<String>,
    format: Option<String>,
    model: Option<String>,
    provider: Option<String>,
    streamed: bool,
    status: i64,
    outcome: String,
    refusal: Option<String>,
    result: i64,
    tokens: i64,
    cost_nano: Option<i64>,
    own_cost_nano: Option<i64>,
    duration_us: i64,
    trace_id: Option<Uuid>,
    label_set_no: Option<i64>,
    labels: Option<String>,
}

/// Builds the query for the events of a day after the place (`$8`, `$7`). Each scope is read in the order of its index: in
/// another, each page would read and sort all events of the day. The `+` keeps SQLite from the index of users.
fn page(of: DayUsageOf) -> String {
    let condition = of.condition();
    let tokens = sum_of("", |_| true);
    let result = results::of_event();
    let (condition, after, order, joined) = if of.is_wide() {
        (format!("+{condition}"), "id > $7", "id", "e.id")
    } else {
        (condition.to_owned(), "(started_at > $8 OR id > $7)", "started_at, id", "e.started_at, e.id")
    };
    format!(
        "SELECT e.id, e.started_at, u.id AS user_id, route.name AS route, e.format, model.name AS model,
            provider.name AS provider, e.streamed, e.status, e.outcome, e.refusal, e.result, e.tokens, e.cost_nano, e.own_cost_nano,
            e.duration_us, e.trace_id, e.label_set_no, labels.labels
        FROM (SELECT id, user_no, started_at, route_no, format, model_no, provider_no, streamed, status, outcome, refusal,
            CAST({result} AS BIGINT) AS result, CAST({tokens} AS BIGINT) AS tokens,
            cost_nano - coalesce(own_cost_nano, 0) AS cost_nano, own_cost_nano, duration_us, trace_id, label_set_no
            FROM usage_events WHERE {condition} AND {OF_DAY} AND {after} ORDER BY {order} LIMIT {DAY_EVENTS_MAX}) e
        LEFT JOIN users u ON u.no = e.user_no LEFT JOIN names route ON route.no = e.route_no
        LEFT JOIN names model ON model.no = e.model_no LEFT JOIN names provider ON provider.no = e.provider_no
        LEFT JOIN label_sets labels ON labels.no = e.label_set_no ORDER BY {joined}"
    )
}

impl DayEvent {
    /// Returns the place after which the next page begins.
    #[must_use]
    pub const fn place(&self) -> RequestPlace {
        RequestPlace { at: self.started_at, id: self.id.0 }
    }
}

impl Ledger {
    /// Returns at most [`DAY_EVENTS_MAX`] events of a scope on one day, from the one after `after` on.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn day_events(
        &self,
        of: impl Into<DayUsageOf>,
        day: Day,
        after: Option<RequestPlace>,
    ) -> Result<Vec<DayEvent>, DatabaseError> {
        let of = of.into();
        let after = after.unwrap_or(RequestPlace { at: Timestamp(0), id: Uuid::nil() });
        let query = of.bind(self.store.query(AssertSqlSafe(page(of))));
        let query = if of.is_wide() {
            bind_day_from(query, day, RequestPlace { at: Timestamp(0), ..after }).bind(after.id)
        } else {
            bind_day_from(query, day, RequestPlace { id: Uuid::nil(), ..after }).bind(after.id).bind(micros(after.at))
        };
        let rows: Vec<EventRow> = query.all().await?;
        Ok(rows.into_iter().map(DayEvent::from).collect())
    }
}

impl From<EventRow> for DayEvent {
    fn from(row: EventRow) -> Self {
        Self {
            id: RequestId(row.id),
            started_at: timestamp(row.started_at),
            user: row.user_id.map(UserId),
            route: row.route,
            format: row.format,
            model: row.model,
            provider: row.provider,
            streamed: row.streamed,
            status: u16::try_from(row.status).unwrap_or(0),
            outcome: row.outcome,
            refusal: row.refusal,
            result: RequestResult::of_number(row.result),
            tokens: unsigned(row.tokens),
            cost: row.cost_nano.map(NanoUsd),
            own_cost: row.own_cost_nano.map(NanoUsd),
            duration_us: unsigned(row.duration_us),
            trace: row.trace_id.map(|id| TraceId(id.into_bytes())),
            labels: RecordedLabels::of_stored(row.label_set_no, row.labels),
        }
    }
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    DayUsageOf::kinds().into_iter().map(page).collect()
}
