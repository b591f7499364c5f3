//! Retention: deletes old rows of usage in small batches, totals of hours and of subjects included, and keeps the other
//! totals of days.
//! `accounts` deletes old sessions and links.
//!
//! A row's age is that of its id (UUIDv7): the id of an event is its request's, and the id of an attempt, of a
//! minute's counts, of an hour's totals or of a subject's charges is created when the row is written, which is later. The oldest rows are
//! therefore the first of each table, and no further index is needed.

mod accounts;
mod clock_guard;
mod deletion;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::Timestamp;
use jobs::{Job, JobError, JobSpec, NextRun, Owner};
use store::revision;
use store::sql::{micros, statements, unsigned};
use store::{DatabaseError, Store};
use uuid::Uuid;

use crate::batch_sizer::BatchSizer;
use crate::row_ids::{first_id, made_at};
#[cfg(test)]
pub(crate) use accounts::STATEMENTS as ACCOUNTS;
use clock_guard::{ClockGuard, ClockReading};
use deletion::{Bounds, delete};

/// Delay after startup: draining the previous run's spool and serving clients have priority.
const FIRST_AFTER: Duration = Duration::from_secs(5 * 60);
/// Pause from the end of one round to the next.
const EVERY: Duration = Duration::from_secs(3_600);
/// Maximum duration of a run; the next one continues.
const RUN_MAX: Duration = Duration::from_hours(6);
/// Maximum number of rows per transaction.
const ROWS_MAX: usize = 1_000;
/// Pause between two transactions, so that others can write.
const PAUSE: Duration = Duration::from_millis(20);

statements! {
    EVENTS = "DELETE FROM usage_events WHERE id IN
        (SELECT id FROM usage_events WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    ATTEMPTS = "DELETE FROM usage_attempts WHERE id IN
        (SELECT id FROM usage_attempts WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    COUNTS = "DELETE FROM usage_counts WHERE id IN
        (SELECT id FROM usage_counts WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    HOURS = "DELETE FROM hourly_usage WHERE id IN
        (SELECT id FROM hourly_usage WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    SUBJECTS = "DELETE FROM daily_subjects WHERE id IN
        (SELECT id FROM daily_subjects WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    WINDOWS = "DELETE FROM window_usage WHERE id IN
        (SELECT id FROM window_usage WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    RAW = "DELETE FROM usage_raw WHERE id IN
        (SELECT id FROM usage_raw WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    USAGE_FROM = "INSERT INTO revision (id, value, usage_from, created_at, updated_at) VALUES ($1, 0, $2, $3, $3)
        ON CONFLICT (id) DO UPDATE SET usage_from = excluded.usage_from, updated_at = excluded.updated_at
        WHERE revision.usage_from < excluded.usage_from";
    NEWEST_EVENT = "SELECT id FROM usage_events ORDER BY id DESC LIMIT 1";
    // Their ids have the time of ingest, which follows a start.
    NEWEST_MINUTE = "SELECT minute FROM usage_counts ORDER BY id DESC LIMIT 1";
}

/// Minimum time for which the charges of subjects are kept: a month, and the error of clocks. Budgets of a month begin
/// with them.
const SUBJECTS_KEPT: Duration = Duration::from_hours(64 * 24);
/// Minimum time for which the charges of windows are kept: the longest window, and the error of clocks.
const WINDOWS_KEPT: Duration = Duration::from_hours(96 * 24);
/// Statements for the rows that `retention.events` limits.
const USAGE: [&str; 4] = [EVENTS, ATTEMPTS, COUNTS, HOURS];

/// Counters of retention since the process began.
#[derive(Debug, Default)]
pub struct RetentionStats {
    /// Deleted rows of events, attempts, counts, hours, charges of subjects and raw usage.
    pub rows: AtomicU64,
}

/// Time for which usage is kept; `None` keeps it forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionTimes {
    /// Applies to rows of events, attempts, counts and hours, and to the charges of subjects, which are kept for at least
    /// 64 days.
    pub events: Option<Duration>,
    /// Applies to raw usage as providers reported it.
    pub raw_usage: Option<Duration>,
}

/// One node of a cluster deletes at a time.
pub const SPEC: JobSpec =
    JobSpec { first_after: FIRST_AFTER, run_max: RUN_MAX, owner: Owner::OneNode, ..JobSpec::every("retention", EVERY) };

/// The job that deletes expired usage, and sessions and links that ended long ago.
#[derive(Debug, Clone)]
pub struct RetentionJob<K> {
    store: Store,
    keep: K,
    stats: Arc<RetentionStats>,
    /// The state of this process; `None` until the store was available.
    rounds: Option<Rounds>,
}

impl<K: Fn() -> RetentionTimes> RetentionJob<K> {
    /// Returns a job that deletes the usage that is older than `keep` returns at each run. It reads the store and the
    /// clock, so that a later jump of the clock is detected.
    pub async fn new(store: Store, keep: K, stats: Arc<RetentionStats>) -> Self {
        let rounds = Rounds::begin(&store).await.ok();
        Self { store, keep, stats, rounds }
    }
}

impl<K: Fn() -> RetentionTimes + Send + Sync + 'static> Job for RetentionJob<K> {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let mut rounds = match self.rounds.take() {
            Some(rounds) => rounds,
            None => Rounds::begin(&self.store).await?,
        };
        let deleted = rounds.next(&self.store, (self.keep)(), &self.stats).await;
        self.rounds = Some(rounds);
        deleted?;
        Ok(NextRun::Period)
    }
}

/// Records that usage created before a moment may be deleted from now on, so that an audit does not expect it.
async fn told(store: &Store, before: Timestamp) -> Result<(), DatabaseError> {
    let mut transaction = store.begin().await?;
    transaction.query(USAGE_FROM).bind(revision::ROW).bind(micros(before)).bind(store.now()).run().await?;
    transaction.commit().await
}

/// Deletes the rows of `tables` that were created before a moment, oldest first, and returns their number. Stops if
/// another node is deleting.
///
/// # Errors
/// Database errors of any kind; rows deleted before an error stay deleted.
async fn expire(
    store: &Store,
    tables: &[&'static str],
    before: Timestamp,
    stats: &RetentionStats,
) -> Result<u64, DatabaseError> {
    let mut deleted = 0;
    let mut batch_sizer = BatchSizer::new(store.kind(), ROWS_MAX);
    let end = first_id(before);
    for table in tables {
        // Each transaction starts where the last one ended, to skip the deleted rows, which PostgreSQL keeps for a
        // while.
        let mut from = Uuid::nil();
        while let Some(batch) = delete(store, table, Bounds::Ids(from, end), &mut batch_sizer).await? {
            deleted += batch.rows;
            stats.rows.fetch_add(batch.rows, Ordering::Relaxed);
            let Some(last) = batch.last else { break };
            from = last;
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(deleted)
}

/// State of a process across its rounds.
#[derive(Debug, Clone)]
pub(crate) struct Rounds {
    clock_guard: ClockGuard,
}

impl Rounds {
    pub(crate) async fn begin(store: &Store) -> Result<Self, DatabaseError> {
        let event: Option<(Uuid,)> = store.query(NEWEST_EVENT).find().await?;
        // A gateway without LLM calls writes counts only.
        let counts: Option<(i64,)> = store.query(NEWEST_MINUTE).find().await?;
        let minute = counts.map(|(minute,)| Timestamp(unsigned(minute).saturating_mul(60_000_000)));
        let newest = event.and_then(|(id,)| made_at(id)).max(minute);
        Ok(Self { clock_guard: ClockGuard::new(newest, store.clock().now(), store.clock().mono()) })
    }

    /// Deletes usage that is older than `keep`, and old sessions and links. Returns the number of deleted rows of
    /// usage.
    pub(crate) async fn next(
        &mut self,
        store: &Store,
        keep: RetentionTimes,
        stats: &RetentionStats,
    ) -> Result<u64, DatabaseError> {
        let began = store.clock().mono();
        let now = match self.clock_guard.judge(store.clock().now(), began) {
            ClockReading::Trusted(now) | ClockReading::Distrusted(now) => now,
            ClockReading::Jumped(now) => {
                let clock = store.clock().now().unix_seconds();
                let expected = now.unix_seconds();
                tracing::warn!(
                    clock,
                    expected,
                    "the clock is more than a day ahead: retention uses the expected time for a day; correct the clock if \
                     it is wrong"
                );
                now
            }
        };
        if let Some(keep) = keep.events {
            told(store, now.before(keep)).await?;
        }
        let mut rows = 0;
        // Subjects are unbounded, unlike keys. An audit does not expect their charges once their events are deleted.
        let of_subjects = keep.events.map(|keep| keep.max(SUBJECTS_KEPT));
        let of_windows = keep.events.map(|keep| keep.max(WINDOWS_KEPT));
        let usage =
            [(&USAGE[..], keep.events), (&[SUBJECTS], of_subjects), (&[WINDOWS], of_windows), (&[RAW], keep.raw_usage)];
        for (tables, keep) in usage {
            if let Some(keep) = keep {
                rows += expire(store, tables, now.before(keep), stats).await?;
            }
        }
        if rows > 0 {
            let seconds = store.clock().mono().since(began).as_secs();
            tracing::info!(rows, seconds, "deleted usage that is older than `retention` allows");
        }
        let rows_of_accounts = accounts::expire(store, now.before(accounts::KEPT)).await?;
        if rows_of_accounts > 0 {
            tracing::info!(rows = rows_of_accounts, "deleted sessions and links that ended more than 30 days ago");
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests;
