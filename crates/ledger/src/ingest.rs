//! Ingest: transfers the spool to rows and totals. Each batch is one transaction, which also stores the position at
//! which the spool continues.
//!
//! Ingest is idempotent. Each partition's position is committed with the rows of the records before it, and read in the
//! transaction that writes; records before it are skipped. In addition, events are deduplicated by id. A segment of the
//! spool is released only when its committed rows survive a power failure.

mod aggregation;
mod attempt_sums;
mod checkpoint;
mod names;
mod open_requests;
mod positions;
mod raw_usage;
mod tables;
pub(crate) mod windows;
mod write;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::Timestamp;
use jobs::{Cancellation, Job, JobError, JobSpec, NextRun, RepeatedProblem, RetryPauses, causes};
use spool::{OpenRequest, Position, Reader, Record, SpoolDepth, SpoolError};
use store::sql::{StoreKind, statements};
use store::{DatabaseError, Node, SpooledUsage, Store};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::batch_sizer::BatchSizer;
use checkpoint::Checkpoints;
use names::Names;
use open_requests::StoredOpenRequests;
use positions::positions_of;
use write::Rows;
pub use write::WriteError;

/// Maximum number of records in one transaction; [`BatchSizer`] lowers it if transactions take too long.
const BATCH_RECORDS_MAX: usize = 4_000;
/// Pause after a batch that was not full, in which records accumulate.
const EVERY: Duration = Duration::from_millis(100);
/// Pause after the first failure; each further pause is twice the previous one, up to [`PAUSE_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// Maximum pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(5);

statements! {
    PLACES = "SELECT lane, segment, byte_offset FROM ingested WHERE node_id = $1 ORDER BY lane";
}

/// Reason for which records remain in the spool.
#[derive(Debug, Error)]
pub enum IngestError {
    /// The records cannot be written to the store.
    #[error("usage cannot be written to the database")]
    Store(#[from] WriteError),
    /// The records cannot be read from the spool.
    #[error("usage cannot be read from the spool")]
    Spool(#[from] SpoolError),
}

impl From<DatabaseError> for IngestError {
    fn from(error: DatabaseError) -> Self {
        Self::Store(error.into())
    }
}

/// Ingest panicked while it read the spool, so the state of the reader is unknown.
#[derive(Debug, Error)]
#[error("the spool is not read any more since ingest panicked: restart this server")]
struct ReaderLost;

/// Counters of ingest since the process began.
#[derive(Debug, Default)]
pub struct IngestStats {
    /// Number of events, including events that the store already contained.
    pub events: AtomicU64,
    /// Number of failed reads and writes of batches, each attempt counted.
    pub failures: AtomicU64,
    /// Time at which the oldest record in the spool was written, as of the last batch, in microseconds since the Unix
    /// epoch; 0 if no record waits.
    pub oldest_micros: AtomicU64,
    /// Delay between the end of the oldest event and its storage, for the last batch with events, in microseconds.
    pub lag_micros: AtomicU64,
}

/// Returns the position at which each partition of the node's spool continues, for [`spool::Spool::open`]. Records
/// before these positions are removed, so the positions survive a power failure.
///
/// # Errors
/// Database errors of any kind.
pub async fn positions(node: &Node) -> Result<Vec<Position>, DatabaseError> {
    let positions = positions_of(node.store().query(PLACES).bind(node.id()).all().await?);
    let store = node.store().clone();
    match tokio::task::spawn_blocking(move || store.sync()).await {
        Ok(synced) => synced.map(|()| positions),
        Err(ended) => Err(DatabaseError::Database(std::io::Error::other(ended).into())),
    }
}

/// A run transfers one batch. If ingest keeps up, a record waits for 100 ms and the previous batch. No run is dropped,
/// because the reader would be lost.
pub const SPEC: JobSpec = JobSpec {
    run_max: Duration::MAX,
    retry: RetryPauses { first: RETRY_FIRST, longest: PAUSE_MAX },
    cancellation: Cancellation::AfterRun,
    ..JobSpec::every("ingest", EVERY)
};

/// The place of the spool's reader between two runs. Clones refer to the same place.
#[derive(Debug, Clone)]
pub struct ReaderSlot(Arc<Mutex<Option<Reader>>>);

impl ReaderSlot {
    /// Returns a place with a reader.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        Self(Arc::new(Mutex::new(Some(reader))))
    }

    /// Takes the reader; `None` during a run, and after a run that panicked while it read.
    #[must_use]
    pub fn take(&self) -> Option<Reader> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, reader: Reader) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader);
    }
}

/// The job that transfers the spool. Files are read off the async threads, except for the last release.
#[derive(Debug)]
pub struct Ingest {
    node: Node,
    slot: ReaderSlot,
    stats: Arc<IngestStats>,
    known: KnownRows,
    ahead: RepeatedProblem,
    /// The batch that is stored and not released yet.
    stored: Option<spool::Batch>,
    batch_sizer: BatchSizer,
    checkpoints: Checkpoints,
}

impl Ingest {
    /// Returns the job. After a panic, another one continues with the same slot: the reader reads all unreleased records
    /// again.
    #[must_use]
    pub fn new(node: Node, slot: ReaderSlot, stats: Arc<IngestStats>) -> Self {
        let batch_sizer = BatchSizer::new(node.store().kind(), BATCH_RECORDS_MAX);
        let (known, ahead, checkpoints) = Default::default();
        Self { node, slot, stats, known, ahead, stored: None, batch_sizer, checkpoints }
    }

    /// Transfers one batch into the store.
    async fn transfer(&mut self, records_max: usize) -> Result<StoredBatch, JobError> {
        let reader = self.slot.take().ok_or(ReaderLost)?;
        let now = self.node.store().clock().now();
        let (mut reader, batch) = if self.stored.is_none() && reader.is_idle() {
            note_depth(&self.node, SpoolDepth::default(), now, &self.stats);
            (reader, Ok(ReadBatch::default()))
        } else {
            turn(&self.node, reader, records_max, self.stored.take(), self.stats.clone()).await
        };
        let failure = reader.take_failure();
        self.slot.put(reader);
        if let Some(error) = failure
            && self.ahead.is_news(self.node.store().clock().mono())
        {
            tracing::warn!(%error, cause = causes(&error), "cannot allocate or sync a spool file; retrying");
        }
        let written = match batch {
            Ok(read) => write(&self.node, read, &mut self.known, &self.stats).await,
            Err(error) => Err(error),
        };
        let wrote = written.as_ref().is_ok_and(|written| written.records > 0);
        self.checkpoints.turn(self.node.store(), wrote).await;
        Ok(written?)
    }
}

impl Job for Ingest {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let records_max = self.batch_sizer.rows();
        match self.transfer(records_max).await {
            Ok(written) => {
                self.batch_sizer.note(written.records, written.took);
                self.stored = (written.records > 0).then_some(written.batch);
                Ok(if written.records >= records_max { NextRun::Now } else { NextRun::Period })
            }
            Err(error) => {
                self.stats.failures.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Releases the last batch.
    async fn stop(&mut self) -> Result<(), JobError> {
        // Without a batch, the reader must stay in its place: the last ingest needs it.
        let Some(batch) = self.stored.take() else { return Ok(()) };
        let Some(mut reader) = self.slot.take() else { return Ok(()) };
        let released = release(self.node.store(), &mut reader, &batch);
        self.slot.put(reader);
        if let Err(error) = released {
            tracing::warn!(
                %error,
                cause = causes(&error),
                "an ingested segment of the spool was not removed; the last ingest or the next start tries again"
            );
        }
        Ok(())
    }
}

/// Transfers the spool until it is empty: before the ports open, and after the last request has ended. Files are read
/// on the calling thread.
///
/// # Errors
/// [`IngestError`]; records that were not written remain in the spool.
pub async fn drain(node: &Node, reader: &mut Reader, stats: &IngestStats) -> Result<(), IngestError> {
    let mut known = KnownRows::default();
    loop {
        let read = ReadBatch::next(reader, BATCH_RECORDS_MAX)?;
        let written = write(node, read, &mut known, stats).await?;
        release(node.store(), reader, &written.batch)?;
        read_depth(node, reader, stats);
        if written.records == 0 {
            break;
        }
    }
    if let Err(error) = node.store().write_last_use(true).await {
        tracing::warn!(%error, cause = causes(&error), "cannot write the times at which keys were last used");
    }
    Ok(())
}

/// Rows of the store that ingest remembers between batches.
#[derive(Debug, Default)]
pub(crate) struct KnownRows {
    names: Names,
    carried: StoredOpenRequests,
}

/// A batch that was read from the spool, and the open requests whose segments are released with it.
#[derive(Debug, Default)]
struct ReadBatch {
    batch: spool::Batch,
    carried: Vec<OpenRequest>,
}

impl ReadBatch {
    fn next(reader: &mut Reader, records_max: usize) -> Result<Self, SpoolError> {
        let batch = reader.next_batch(records_max)?;
        let carried = reader.requests_to_store(&batch);
        Ok(Self { batch, carried })
    }
}

/// A batch that is stored and may be released.
#[derive(Debug)]
struct StoredBatch {
    batch: spool::Batch,
    records: usize,
    took: Duration,
}

async fn write(
    node: &Node,
    read: ReadBatch,
    known: &mut KnownRows,
    stats: &IngestStats,
) -> Result<StoredBatch, IngestError> {
    let ReadBatch { mut batch, carried: to_store } = read;
    let read = std::mem::take(&mut batch.records);
    let records = read.len();
    let ended = |record: &Record| match record {
        Record::Close(event) | Record::Event(event) => Some(event.ended_at()),
        Record::Open(_) | Record::Counts { .. } | Record::CloseBatch { .. } => None,
    };
    let events = read.iter().filter_map(ended).count();
    let oldest = read.iter().filter_map(ended).min();
    let places = batch.record_positions().collect();
    let rows = Rows { records: read, places, read: batch.positions().collect(), carried: to_store, closed: Vec::new() };
    let mut took = Duration::ZERO;
    if !rows.read.is_empty() {
        took = store_rows(node, rows, known).await?;
        let now = node.store().clock().now();
        if let Some(oldest) = oldest {
            stats.lag_micros.store(now.0.saturating_sub(oldest.0), Ordering::Relaxed);
        }
        stats.events.fetch_add(u64::try_from(events).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    Ok(StoredBatch { batch, records, took })
}

/// Stores a batch: on SQLite on a thread that may block, which also frees the records.
async fn store_rows(node: &Node, mut rows: Rows, known: &mut KnownRows) -> Result<Duration, WriteError> {
    let kind = node.store().kind();
    let node = node.clone();
    let mut owned = std::mem::take(known);
    let storing = async move {
        let leaving = node.backlog().leaving(rows.places.iter().zip(&rows.records)).await;
        let written = rows.write(&node, &mut owned, leaving.as_ref()).await;
        if written.is_ok() {
            node.store().last_use().note_all(rows.uses(node.store().clock().now()));
        }
        (owned, written)
    };
    let (owned, written) = match kind {
        StoreKind::Sqlite => {
            let runtime = Handle::current();
            finished(tokio::task::spawn_blocking(move || runtime.block_on(storing))).await
        }
        StoreKind::Postgres => storing.await,
    };
    *known = owned;
    written
}

/// Waits for a blocking task, and panics if it does.
async fn finished<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime shuts down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Releases a batch that is stored. If this removes segments, the disk must have their rows first.
fn release(store: &Store, reader: &mut Reader, batch: &spool::Batch) -> Result<(), IngestError> {
    if reader.would_remove_segments(batch) {
        store.sync()?;
    }
    Ok(reader.release(batch)?)
}

/// Releases the stored batch and reads the next one, off the async threads, because both wait for the disk.
async fn turn(
    node: &Node,
    mut reader: Reader,
    records_max: usize,
    stored: Option<spool::Batch>,
    stats: Arc<IngestStats>,
) -> (Reader, Result<ReadBatch, IngestError>) {
    let node = node.clone();
    let turned = tokio::task::spawn_blocking(move || {
        let released = stored.map_or(Ok(()), |stored| release(node.store(), &mut reader, &stored));
        let batch = released.and_then(|()| {
            read_depth(&node, &mut reader, &stats);
            Ok(ReadBatch::next(&mut reader, records_max)?)
        });
        (reader, batch)
    });
    finished(turned).await
}

/// Notes how much of the spool is not stored.
fn read_depth(node: &Node, reader: &mut Reader, stats: &IngestStats) {
    let now = node.store().clock().now();
    // The next read of a batch fails in the same way, and its error is reported.
    if let Ok(depth) = reader.depth() {
        note_depth(node, depth, now, stats);
    }
}

/// Notes how much of the spool is not stored. `now` is a time before the depth was read.
fn note_depth(node: &Node, depth: SpoolDepth, now: Timestamp, stats: &IngestStats) {
    stats.oldest_micros.store(depth.oldest.map_or(0, |oldest| oldest.0), Ordering::Relaxed);
    let ingest_lag = Duration::from_micros(stats.lag_micros.load(Ordering::Relaxed));
    node.note_depth(SpooledUsage { records: depth.records, oldest: depth.oldest, ingest_lag });
    match depth.oldest {
        Some(oldest) => node.note_ingested(oldest),
        None if depth.records == 0 => node.note_ingested(now),
        // Records that are not on disk yet must not be read.
        None => {}
    }
}

pub use open_requests::stored_requests;

#[cfg(test)]
pub(crate) use {names::STATEMENTS as NAMES, open_requests::STATEMENTS as CARRIED, tables::inserts};

/// Returns every SQL text that this module builds.
#[cfg(test)]
pub(crate) fn texts(kind: store::sql::StoreKind) -> Vec<String> {
    [tables::texts(kind), write::texts(kind), open_requests::texts(kind)].concat()
}

#[cfg(test)]
mod tests;
