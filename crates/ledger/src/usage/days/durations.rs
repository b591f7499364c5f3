//! The durations of one day's requests, as a histogram.

use std::collections::BTreeMap;

use access::Day;
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::sql::unsigned;

use super::range::OF_DAY;
use super::scope::DayUsageOf;
use super::slices::{DaySlice, SLICE_EVENTS};
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
        self.durations_in_slices(of.into(), day, SLICE_EVENTS).await
    }

    /// Reads the events of a day in slices, two at a time. A slice has about `slice_events` events.
    pub(super) async fn durations_in_slices(
        &self,
        of: DayUsageOf,
        day: Day,
        slice_events: u32,
    ) -> Result<Vec<DurationCount>, DatabaseError> {
        let slices = self.slices(of, day, slice_events).await?;
        let (even, odd) = tokio::try_join!(
            self.durations_of(of, slices.iter().step_by(2)),
            self.durations_of(of, slices.iter().skip(1).step_by(2)),
        )?;
        let mut requests = even;
        for (duration_ms, more) in odd {
            let of = requests.entry(duration_ms).or_insert(0);
            *of = of.saturating_add(more);
        }
        let count = |(duration_ms, requests)| DurationCount { duration_ms, requests };
        Ok(requests.into_iter().map(count).collect())
    }

    /// Returns the number of requests by their duration in milliseconds.
    async fn durations_of(
        &self,
        of: DayUsageOf,
        slices: impl Iterator<Item = &DaySlice>,
    ) -> Result<BTreeMap<u64, u64>, DatabaseError> {
        let mut durations_ms = BTreeMap::new();
        for slice in slices {
            let query = slice.bind(of.bind(self.store.query(AssertSqlSafe(durations(of)))));
            for (ms, requests) in query.all::<(i64, i64)>().await? {
                let of = durations_ms.entry(unsigned(ms)).or_insert(0_u64);
                *of = of.saturating_add(unsigned(requests));
            }
        }
        Ok(durations_ms)
    }
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    DayUsageOf::kinds().into_iter().map(durations).collect()
}
