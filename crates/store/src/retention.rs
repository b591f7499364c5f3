//! Rows of usage that are too old go, a few at a time; totals stay. So do sessions and links (`accounts`).
//!
//! A row's age is its id's (UUIDv7): an event's is its request's, that of an attempt and of a minute's counts is when it
//! was written, which is later. So the oldest rows are the first of each table, and no index is needed.

mod accounts;
mod belief;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::Timestamp;
use uuid::Uuid;

use crate::error::StoreError;
use crate::outage::Outage;
use crate::pace::Pace;
use crate::revision;
use crate::statement::{micros, statements};
use crate::store::Store;
#[cfg(test)]
pub(crate) use accounts::STATEMENTS as ACCOUNTS;
use belief::{Belief, Judged};

/// After start: the spool of the last run is drained, and callers are served, first.
const FIRST_AFTER: Duration = Duration::from_secs(5 * 60);
/// From the end of one round to the next.
const EVERY: Duration = Duration::from_secs(3_600);
/// Rows of one transaction.
const ROWS_MAX: usize = 1_000;
/// Between two transactions, so that others write too.
const PAUSE: Duration = Duration::from_millis(20);

statements! {
    EVENTS = "DELETE FROM usage_events WHERE id IN
        (SELECT id FROM usage_events WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    ATTEMPTS = "DELETE FROM usage_attempts WHERE id IN
        (SELECT id FROM usage_attempts WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    COUNTS = "DELETE FROM usage_counts WHERE id IN
        (SELECT id FROM usage_counts WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    RAW = "DELETE FROM usage_raw WHERE id IN
        (SELECT id FROM usage_raw WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    USAGE_FROM = "INSERT INTO revision (id, value, usage_from, created_at, updated_at) VALUES ($1, 0, $2, $3, $3)
        ON CONFLICT (id) DO UPDATE SET usage_from = excluded.usage_from, updated_at = excluded.updated_at
        WHERE revision.usage_from < excluded.usage_from";
    NEWEST = "SELECT id FROM usage_events ORDER BY id DESC LIMIT 1";
}

/// What goes with `retention.events`.
const USAGE: [&str; 3] = [EVENTS, ATTEMPTS, COUNTS];

/// What of usage was deleted since the process began.
#[derive(Debug, Default)]
pub struct RetentionStats {
    /// Rows of events, attempts, counts, and of what providers said.
    pub rows: AtomicU64,
}

/// How long usage is kept; `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Rows of events, attempts and counts.
    pub events: Option<Duration>,
    /// What providers said of usage.
    pub raw_usage: Option<Duration>,
}

/// Once an hour deletes usage that is older than `keep` answers, and sessions and links that are of no
/// use any more, until `cancel` is done. Of several servers on one store, one does so at a time.
pub async fn run(store: Store, keep: impl Fn() -> Keep, stats: Arc<RetentionStats>, cancel: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = cancel => {}
        () = rounds(&store, keep, &stats, Times { first_after: FIRST_AFTER, every: EVERY }) => {}
    }
}

/// When rounds are due.
struct Times {
    first_after: Duration,
    every: Duration,
}

async fn rounds(store: &Store, keep: impl Fn() -> Keep, stats: &RetentionStats, times: Times) {
    let mut outage = Outage::new("retention");
    // From the start on, so that a clock which leaps later is seen to.
    let mut begun = Rounds::begin(store).await;
    tokio::time::sleep(times.first_after).await;
    loop {
        if begun.is_err() {
            begun = Rounds::begin(store).await;
        }
        outage.note(&begun);
        if let Ok(rounds) = &mut begun {
            outage.note(&rounds.next(store, keep(), stats).await);
        }
        tokio::time::sleep(times.every).await;
    }
}

/// Says that usage made before a moment may be gone from now on: whoever adds it up does not miss it.
async fn told(store: &Store, before: Timestamp) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    transaction.query(USAGE_FROM).bind(revision::ROW).bind(micros(before)).bind(store.now()).run().await?;
    Ok(transaction.commit().await?)
}

/// Deletes the rows of `tables` that were made before a moment, oldest first; how many. Another server that does so has
/// precedence.
///
/// # Errors
/// [`StoreError::Unavailable`], [`StoreError::ReadOnly`], [`StoreError::Full`], [`StoreError::Database`]; what was deleted
/// before stays so.
async fn expire(
    store: &Store,
    tables: &[&'static str],
    before: Timestamp,
    stats: &RetentionStats,
) -> Result<u64, StoreError> {
    let (mut deleted, mut pace, end) = (0, Pace::new(store.kind(), ROWS_MAX), first_id(before));
    for table in tables {
        // Where the last transaction ended: what it deleted is not walked over again (PostgreSQL keeps it for a while).
        let mut from = Uuid::nil();
        while let Some(batch) = delete(store, table, Bounds::Ids(from, end), &mut pace).await? {
            deleted += batch.rows;
            stats.rows.fetch_add(batch.rows, Ordering::Relaxed);
            let Some(last) = batch.last else { break };
            from = last;
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(deleted)
}

/// A transaction's work.
struct Deleted {
    rows: u64,
    /// `None` where no row is left.
    last: Option<Uuid>,
}

/// Which rows of a table go.
#[derive(Clone, Copy)]
enum Bounds {
    /// Those whose ids lie between two.
    Ids(Uuid, Uuid),
    /// Those whose time was over at this moment.
    Moment(i64),
}

/// Deletes the first rows within `bounds`; `None` where another server is about it.
async fn delete(
    store: &Store,
    table: &'static str,
    bounds: Bounds,
    pace: &mut Pace,
) -> Result<Option<Deleted>, StoreError> {
    let wanted = pace.rows();
    let mut transaction = store.begin().await?;
    let began = store.clock().mono();
    if let Some(alone) = transaction.kind().try_retention() {
        let (alone,): (bool,) = transaction.query(alone).one().await?;
        if !alone {
            return Ok(None);
        }
    }
    let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
    let query = transaction.query(table);
    let query = match bounds {
        Bounds::Ids(from, end) => query.bind(from).bind(end),
        Bounds::Moment(moment) => query.bind(moment),
    };
    let ids: Vec<(Uuid,)> = query.bind(limit).all().await?;
    transaction.commit().await?;
    pace.note(ids.len(), store.clock().mono().since(began));
    let last = ids.iter().map(|(id,)| *id).max().filter(|_| ids.len() == wanted);
    Ok(Some(Deleted { rows: u64::try_from(ids.len()).unwrap_or(u64::MAX), last }))
}

/// The rounds of one process.
#[derive(Debug)]
pub(crate) struct Rounds {
    belief: Belief,
}

impl Rounds {
    pub(crate) async fn begin(store: &Store) -> Result<Self, StoreError> {
        let newest: Option<(Uuid,)> = store.query(NEWEST).find().await?;
        let newest = newest.and_then(|(id,)| made_at(id));
        Ok(Self { belief: Belief::new(newest, store.clock().now(), store.clock().mono()) })
    }

    /// Deletes what is older than `keep`, and what accounts left behind; how many rows of usage.
    pub(crate) async fn next(&mut self, store: &Store, keep: Keep, stats: &RetentionStats) -> Result<u64, StoreError> {
        let began = store.clock().mono();
        let now = match self.belief.judge(store.clock().now(), began) {
            Judged::Believed(now) | Judged::Doubted(now) => now,
            Judged::Leapt(now) => {
                let (clock, expected) = (store.clock().now().unix_seconds(), now.unix_seconds());
                tracing::warn!(clock, expected, "the clock is far ahead: old rows are not deleted by it for a day");
                now
            }
        };
        if let Some(keep) = keep.events {
            told(store, now.before(keep)).await?;
        }
        let mut rows = 0;
        for (tables, keep) in [(&USAGE[..], keep.events), (&[RAW], keep.raw_usage)] {
            if let Some(keep) = keep {
                rows += expire(store, tables, now.before(keep), stats).await?;
            }
        }
        if rows > 0 {
            let seconds = store.clock().mono().since(began).as_secs();
            tracing::info!(rows, seconds, "usage that is older than `retention` says was deleted");
        }
        let rows_of_accounts = accounts::expire(store, now.before(accounts::KEPT)).await?;
        if rows_of_accounts > 0 {
            tracing::info!(rows = rows_of_accounts, "sessions and links that ended 30 days ago were deleted");
        }
        Ok(rows)
    }
}

/// No id that is made from this moment on is less (RFC 9562, 5.7: milliseconds in the first 48 bits).
pub(crate) fn first_id(moment: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(moment.unix_millis()) << 80)
}

/// When a row with this id was made; `None` where the id does not say.
fn made_at(id: Uuid) -> Option<Timestamp> {
    let millis = u64::try_from(id.as_u128() >> 80).unwrap_or(u64::MAX);
    (id.get_version_num() == 7).then(|| Timestamp(millis.saturating_mul(1_000)))
}

#[cfg(test)]
mod tests;
