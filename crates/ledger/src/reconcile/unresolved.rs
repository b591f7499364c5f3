//! Facts that an audit reports although they are no differences: requests whose outcome or cost is unknown.

use access::{Amount, NanoUsd, Timestamp};
use meter::Charge;
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::sql::{Transaction, statements, timestamp, unsigned};

use super::Days;
use super::row::{NumberRow, summed};

statements! {
    OPEN = "SELECT count(*), min(created_at) FROM open_requests";
    UNPRICED = "SELECT coalesce(cost_unknown, 'interrupted') AS reason, count(*) AS requests,
        CAST(sum(charged_nano / 1000000000) AS BIGINT) AS charged_dollars,
        CAST(sum(charged_nano % 1000000000) AS BIGINT) AS charged_rest,
        CAST(sum(coalesce(cost_nano, 0) / 1000000000) AS BIGINT) AS cost_dollars,
        CAST(sum(coalesce(cost_nano, 0) % 1000000000) AS BIGINT) AS cost_rest
        FROM usage_events WHERE day >= $1 AND day <= $2 AND id >= $3 AND id < $4 AND format IS NOT NULL
        AND (cost_unknown IS NOT NULL OR outcome = 'interrupted') GROUP BY coalesce(cost_unknown, 'interrupted')
        ORDER BY reason";
}

/// Requests that were in flight when their node crashed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InterruptedRequests {
    /// Number of interrupted requests.
    pub requests: u64,
    /// Amount that they count: everything that was reserved for them.
    pub reserved: Charge,
}

/// Requests that the store records as open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenRequests {
    /// Number of open requests.
    pub requests: u64,
    /// Time at which the oldest was stored.
    pub oldest: Option<Timestamp>,
}

/// LLM requests whose cost is unknown or partly unknown, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpricedRequests {
    /// Word of a [`meter::UnknownCost`], `interrupted`, or a word of a newer version.
    pub reason: String,
    /// Number of such requests.
    pub requests: u64,
    /// Amount that budgets in money count for them.
    pub charged: NanoUsd,
    /// Known part of their cost, which is included in bills.
    pub cost: NanoUsd,
}

/// Maximum number of reported reasons.
const REASONS_MAX: usize = 32;

/// Returns the requests of unknown cost on some days, by reason, as far as their events exist.
pub(super) async fn unpriced(tx: &mut Transaction, days: Days) -> Result<Vec<UnpricedRequests>, DatabaseError> {
    let [first, last] = days.numbers();
    let [from, end] = days.ids();
    let query = tx.query(UNPRICED).bind(first).bind(last).bind(from).bind(end);
    let rows: Vec<UnpricedRow> = query.all().await?;
    let money = |dollars: i64, rest: i64| {
        let nano = i128::from(dollars) * 1_000_000_000 + i128::from(rest);
        NanoUsd(i64::try_from(nano).unwrap_or(i64::MAX))
    };
    let unpriced = rows.into_iter().take(REASONS_MAX).map(|row| UnpricedRequests {
        reason: row.reason,
        requests: unsigned(row.requests),
        charged: money(row.charged_dollars, row.charged_rest),
        cost: money(row.cost_dollars, row.cost_rest),
    });
    Ok(unpriced.collect())
}

#[derive(sqlx_macros::FromRow)]
struct UnpricedRow {
    reason: String,
    requests: i64,
    charged_dollars: i64,
    charged_rest: i64,
    cost_dollars: i64,
    cost_rest: i64,
}

/// Returns the interrupted requests of some days, as far as their events exist.
pub(super) async fn interrupted(tx: &mut Transaction, days: Days) -> Result<InterruptedRequests, DatabaseError> {
    let [first, last] = days.numbers();
    let [from, end] = days.ids();
    let query = tx.query(AssertSqlSafe(interrupted_text())).bind(first).bind(last).bind(from).bind(end);
    let row: NumberRow = query.one().await?;
    let sums = row.sums(1);
    let sum = |nth: usize| sums.get(nth).map_or(Amount::ZERO, |sum| u64::try_from(*sum).map_or(Amount::MAX, Amount));
    let reserved = Charge { credits: sum(0).credits(), tokens: sum(1).tokens(), ..Charge::money(sum(2).money()) };
    Ok(InterruptedRequests { requests: unsigned(row.number(0)), reserved })
}

/// Returns the open requests of all nodes.
pub(super) async fn open(tx: &mut Transaction) -> Result<OpenRequests, DatabaseError> {
    let (requests, oldest): (i64, Option<i64>) = tx.query(OPEN).one().await?;
    Ok(OpenRequests { requests: unsigned(requests), oldest: oldest.map(timestamp) })
}

pub(super) fn interrupted_text() -> String {
    let sums = ["credits", "charged_tokens", "charged_nano"].map(summed).join(", ");
    format!(
        "SELECT count(*), {sums} FROM usage_events
        WHERE day >= $1 AND day <= $2 AND id >= $3 AND id < $4 AND outcome = 'interrupted'"
    )
}
