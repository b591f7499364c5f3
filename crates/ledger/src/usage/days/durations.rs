//! The durations of one day's requests, as a histogram.

use access::Day;
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::sql::unsigned;

use super::range::{OF_DAY, bind_day};
use super::scope::DayUsageOf;
use crate::handle::Ledger;

/// Requests of one duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationCount {
    /// The duration in milliseconds; above one second, in steps of a tenth of a second. Both are rounded down.
    pub duration_ms: u64,
    /// The number of requests.
    pub requests: u64,
}

/// Builds the query for the durations of the requests of a day that reached an upstream.
fn durations(of: DayUsageOf) -> String {
    let condition = of.condition();
    format!(
        "SELECT ms, CAST(count(*) AS BIGINT) FROM (SELECT CASE WHEN duration_us < 1000000 THEN duration_us / 1000
            ELSE duration_us / 100000 * 100 END AS ms FROM usage_events WHERE {condition} AND {OF_DAY} AND attempts > 0) d
        GROUP BY ms ORDER BY ms"
    )
}

impl Ledger {
    /// Returns the durations of a scope's requests on one day, the shortest first. It reads the events of the day.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn durations_of_day(
        &self,
        of: impl Into<DayUsageOf>,
        day: Day,
    ) -> Result<Vec<DurationCount>, DatabaseError> {
        let of = of.into();
        let query = bind_day(of.bind(self.store.query(AssertSqlSafe(durations(of)))), day);
        let rows: Vec<(i64, i64)> = query.all().await?;
        let count = |(ms, requests)| DurationCount { duration_ms: unsigned(ms), requests: unsigned(requests) };
        Ok(rows.into_iter().map(count).collect())
    }
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    DayUsageOf::kinds().into_iter().map(durations).collect()
}
