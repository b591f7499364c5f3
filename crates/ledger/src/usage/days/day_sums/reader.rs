//! The reads for sums of a day: of the store, or of one snapshot.

use access::Timestamp;
use sqlx::AssertSqlSafe;
use store::sql::{Query, StoreKind, Transaction, statements, unsigned};
use store::{DatabaseError, Store};

use super::SumsOf;
use crate::usage::days::range::bounds;
use crate::usage::days::scope::DayUsageOf;
use crate::usage::days::slices::DaySlice;
use crate::usage::scope::UsageOf;

statements! {
    IDS = "SELECT CAST(count(*) AS BIGINT) FROM usage_events WHERE id >= $1 AND id < $2";
    IDS_OF_USER = "SELECT CAST(count(*) AS BIGINT) FROM usage_events WHERE user_no = $1 AND started_at >= $2 AND started_at < $3";
}

/// The source of the rows.
pub(super) enum Reader<'a> {
    /// Each query reads the newest rows.
    Store(&'a Store),
    /// All queries read the rows of one moment.
    Snapshot(&'a mut Transaction),
}

impl Reader<'_> {
    /// Returns the same reader for a shorter time.
    pub(super) fn again(&mut self) -> Reader<'_> {
        match self {
            Self::Store(store) => Reader::Store(store),
            Self::Snapshot(snapshot) => Reader::Snapshot(snapshot),
        }
    }

    pub(super) fn kind(&self) -> StoreKind {
        match self {
            Self::Store(store) => store.kind(),
            Self::Snapshot(snapshot) => snapshot.kind(),
        }
    }

    /// Prepares a query that a function of this crate has built.
    pub(super) fn query(&mut self, text: String) -> Query<'_> {
        match self {
            Self::Store(store) => store.query(AssertSqlSafe(text)),
            Self::Snapshot(snapshot) => snapshot.query(AssertSqlSafe(text)),
        }
    }

    /// Returns the number of ids in a slice, whatever the day of their events, in the index by which its events are found.
    pub(super) async fn ids(&mut self, of: &SumsOf, slice: DaySlice) -> Result<u64, DatabaseError> {
        let query = if let DayUsageOf::Users(UsageOf::User(user)) = of.of {
            let [from, until] = slice.times();
            self.query(IDS_OF_USER.to_owned()).bind(user.0).bind(from).bind(until)
        } else {
            let [first, end] = slice.ids();
            self.query(IDS.to_owned()).bind(first).bind(end)
        };
        let (ids,): (i64,) = query.one().await?;
        Ok(unsigned(ids))
    }

    /// Returns the number of events of a day by its totals.
    pub(super) async fn counted_events(&mut self, of: &SumsOf) -> Result<u64, DatabaseError> {
        let (from, until) = bounds(of.day);
        let minute = |time: Timestamp| i64::try_from(time.unix_seconds() / 60).unwrap_or(i64::MAX);
        let query = of.of.bind(self.query(counted_events(of.of)));
        let query = query.bind(i64::from(of.day.0)).bind(minute(from)).bind(minute(until));
        let (events,): (i64,) = query.one().await?;
        Ok(unsigned(events))
    }
}

/// Builds the query for the number of events of a day that its totals contain. `$2`: the day, `$3` to `$4`: the minutes of its
/// counts.
pub(super) fn counted_events(of: DayUsageOf) -> String {
    let condition = of.condition();
    let table = of.totals();
    format!(
        "SELECT CAST(coalesce((SELECT sum(succeeded + refused + errors) FROM {table} WHERE {condition} AND day = $2), 0)
            - coalesce((SELECT sum(requests) FROM usage_counts
                WHERE {condition} AND minute >= $3 AND minute < $4 AND day = $2), 0) AS BIGINT)"
    )
}
