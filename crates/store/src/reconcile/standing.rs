//! What is no difference, and has to be known of: requests of which nobody knows what became.

use access::Timestamp;
use meter::Charge;
use sqlx::AssertSqlSafe;

use super::Days;
use super::row::{Numbers, summed};
use crate::dialect::Transaction;
use crate::error::StoreError;
use crate::statement::{statements, timestamp, unsigned};

statements! {
    OPEN = "SELECT count(*), min(created_at) FROM open_requests";
}

/// Requests that were under way when their server died.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interrupted {
    /// How many.
    pub requests: u64,
    /// What they count for: all that was reserved for them.
    pub reserved: Charge,
}

/// Requests that the store keeps as open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenRequests {
    /// How many.
    pub requests: u64,
    /// Since when the oldest is kept.
    pub oldest: Option<Timestamp>,
}

/// Those of some days, as far as their events are there.
pub(super) async fn interrupted(on: &mut Transaction, days: Days) -> Result<Interrupted, StoreError> {
    let ([first, last], [from, end]) = (days.numbers(), days.ids());
    let query = on.query(AssertSqlSafe(interrupted_text())).bind(first).bind(last).bind(from).bind(end);
    let row: Numbers = query.one().await?;
    let sums = row.sums(1);
    let sum = |nth: usize| sums.get(nth).map_or(0, |sum| u64::try_from(*sum).unwrap_or(u64::MAX));
    let reserved = Charge { credits: sum(0), tokens: sum(1), money: sum(2) };
    Ok(Interrupted { requests: unsigned(row.at(0)), reserved })
}

/// Those of all nodes.
pub(super) async fn open(on: &mut Transaction) -> Result<OpenRequests, StoreError> {
    let (requests, oldest): (i64, Option<i64>) = on.query(OPEN).one().await?;
    Ok(OpenRequests { requests: unsigned(requests), oldest: oldest.map(timestamp) })
}

pub(super) fn interrupted_text() -> String {
    let sums = ["credits", "charged_tokens", "charged_nano"].map(summed).join(", ");
    format!(
        "SELECT count(*), {sums} FROM usage_events
        WHERE day >= $1 AND day <= $2 AND id >= $3 AND id < $4 AND outcome = 'interrupted'"
    )
}
