//! The search for days of users whose totals may differ: two workers, each with a connection and its own snapshots.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use access::{Day, UserNo};
use sqlx::AssertSqlSafe;
use store::{DatabaseError, Store};

use super::sample::Sample;
use super::totals::{self, grouped};
use super::{AuditProgress, DIFFERENCES_MAX, Days};

/// Number of workers that read at the same time.
const WORKERS: u32 = 2;
/// Number of ranges of days of each worker, so that both end at about the same time.
const RANGES: u32 = 2;
/// Maximum number of days of a range: progress is shown after each range, and its events are grouped in one query.
const DAYS_MAX: u32 = 31;

/// The days of users whose totals may differ.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// By the position of the table in [`totals::ALL`].
    rows: BTreeSet<(usize, Day, UserNo)>,
    /// Whether there are more than a query returns.
    pub(super) more: bool,
}

impl Suspects {
    /// Returns the days of users of a table from `first` on, in order.
    pub(super) fn of_table(&self, nth: usize, first: Day) -> impl Iterator<Item = (Day, UserNo)> {
        let rows = self.rows.iter().filter(move |(table, day, _)| *table == nth && *day >= first);
        rows.map(|(_, day, user)| (*day, *user))
    }

    fn add(&mut self, rows: Vec<(i64, i64, i64)>) {
        for (nth, _) in totals::ALL.iter().enumerate() {
            let of_table = rows.iter().filter(|(table, ..)| usize::try_from(*table) == Ok(nth));
            self.more |= of_table.count() > DIFFERENCES_MAX;
        }
        self.rows.extend(rows.into_iter().map(|(table, of, user)| {
            (usize::try_from(table).unwrap_or(totals::ALL.len()), Day(u32::try_from(of).unwrap_or(0)), UserNo(user))
        }));
    }
}

/// One query: a range of days, and a part of the sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    days: Days,
    share: [i64; 3],
}

/// Finds the days of users in a sample whose totals may differ. Ingest writes events and totals in one transaction, so each
/// query may have its own snapshot.
pub(super) async fn find(
    store: &Store,
    days: Days,
    sample: Sample,
    progress: &(impl Fn(AuditProgress) + Sync),
) -> Result<Suspects, DatabaseError> {
    let ranges = ranges(days, sample);
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let worker = async || {
        let mut found = Suspects::default();
        while let Some(range) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.add(read(store, *range).await?);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(AuditProgress { done, all: ranges.len() });
        }
        Ok::<_, DatabaseError>(found)
    };
    let (mut found, other) = tokio::try_join!(worker(), worker())?;
    found.rows.extend(other.rows);
    found.more |= other.more;
    Ok(found)
}

async fn read(store: &Store, range: Range) -> Result<Vec<(i64, i64, i64)>, DatabaseError> {
    let Range { days, share: [offset, first_part, end_part] } = range;
    let [first, last] = days.numbers();
    let [from, end] = days.ids();
    let mut snapshot = store.begin_read().await?;
    let query = snapshot.query(AssertSqlSafe(grouped::suspects())).bind(first).bind(last).bind(from).bind(end);
    let query = query.bind(i64::try_from(DIFFERENCES_MAX + 1).unwrap_or(i64::MAX));
    let rows = query.bind(offset).bind(first_part).bind(end_part).all().await?;
    snapshot.rollback().await?;
    Ok(rows)
}

/// Divides the days by range, and few days by user.
fn ranges(days: Days, sample: Sample) -> Vec<Range> {
    let count = days.last.0.saturating_sub(days.first.0).saturating_add(1);
    if count < WORKERS * RANGES {
        return sample.shares(WORKERS).into_iter().map(|share| Range { days, share }).collect();
    }
    let length = count.div_ceil(WORKERS * RANGES).min(DAYS_MAX);
    let starts = (days.first.0..=days.last.0).step_by(usize::try_from(length).unwrap_or(usize::MAX));
    let range = |first: u32| Days { first: Day(first), last: Day(days.last.0.min(first.saturating_add(length - 1))) };
    let share = sample.shares(1);
    starts.flat_map(|first| share.iter().map(move |share| Range { days: range(first), share: *share })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_each_day_once() {
        for length in [1, 3, 4, 5, 30, 400] {
            let days = Days { first: Day(100), last: Day(99 + length) };
            let ranges = ranges(days, Sample::ALL);
            let mut covered: Vec<(u32, i64)> = Vec::new();
            for Range { days, share: [_, from, end] } in &ranges {
                covered.extend((days.first.0..=days.last.0).map(|day| (day, end - from)));
            }
            let whole = (100..100 + length)
                .all(|day| covered.iter().filter(|(of, _)| *of == day).map(|(_, parts)| parts).sum::<i64>() == 10_000);
            assert!(whole && ranges.len() >= 2, "{length} days: {ranges:?}");
        }
    }
}
