//! Draining the spool into rows and totals, each batch in one transaction with the place where the spool goes on.
//!
//! Idempotent: each lane's place is committed with the rows of the records before it, and read in the transaction that
//! writes; what lies before it is written already. An event counts once by its id too. A segment of the spool is released
//! only when what was committed of it survives a power cut.

mod backlog;
mod carried;
mod checkpoint;
mod fold;
mod insert;
mod names;
mod tables;
mod write;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use spool::{OpenRequest, Position, Reader, Record, SpoolError};
use thiserror::Error;

use crate::dialect::Query;
use crate::error::StoreError;
use crate::node::Node;
use crate::outage::{Outage, Trouble, causes};
use crate::pace::Pace;
use crate::statement::{statements, unsigned};
use crate::store::Store;
use carried::Carried;
use checkpoint::Checkpoints;
use names::Names;
use write::Rows;

pub use backlog::{Backlog, Gathered, Waiting};
pub(crate) use insert::{Insert, Values};

/// Records in one transaction; fewer where it would take too long ([`Pace`]).
const BATCH_RECORDS_MAX: usize = 4_000;
/// The pause after a batch that was not full: how long records gather.
const EVERY: Duration = Duration::from_millis(100);
/// The longest pause after a failure; the first is [`EVERY`], each further one twice the last.
const PAUSE_MAX: Duration = Duration::from_secs(5);

statements! {
    PLACES = "SELECT lane, segment, byte_offset FROM ingested WHERE node_id = $1 ORDER BY lane";
}

/// Why records stay in the spool.
#[derive(Debug, Error)]
pub enum IngestError {
    /// They cannot be written.
    #[error("usage cannot be written to the database")]
    Store(#[from] StoreError),
    /// They cannot be read.
    #[error("usage cannot be read from the spool")]
    Spool(#[from] SpoolError),
}

/// What was ingested since the process began.
#[derive(Debug, Default)]
pub struct IngestStats {
    /// Events, those that were there already included.
    pub events: AtomicU64,
    /// Batches that could not be read or written, each attempt counted.
    pub failures: AtomicU64,
    /// When the oldest record in the spool was written, as of the last batch, in microseconds since the Unix epoch; 0 when none
    /// waits.
    pub oldest_micros: AtomicU64,
    /// How long the oldest event of the last batch that had any had waited when it was stored, in microseconds.
    pub lag_micros: AtomicU64,
}

impl Node {
    /// Where each lane of its spool goes on, for [`spool::Spool::open`]: these places survive a power cut, for what lies
    /// before them is removed.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn ingested(&self) -> Result<Vec<Position>, StoreError> {
        let positions = ingested(self.store().query(PLACES), self).await?;
        let store = self.store().clone();
        match tokio::task::spawn_blocking(move || store.sync()).await {
            Ok(synced) => synced.map(|()| positions),
            Err(ended) => Err(StoreError::Database(std::io::Error::other(ended).into())),
        }
    }
}

/// How far each lane of the node's spool is written, as of the transaction of [`PLACES`] or now.
async fn ingested(places: Query<'_>, node: &Node) -> Result<Vec<Position>, StoreError> {
    let rows: Vec<(i64, i64, i64)> = places.bind(node.id()).all().await?;
    let number = |stored| u32::try_from(unsigned(stored)).unwrap_or(u32::MAX);
    let position = |(lane, segment, offset)| Position {
        partition: number(lane),
        segment: number(segment),
        offset: number(offset),
    };
    Ok(rows.into_iter().map(position).collect())
}

/// Drains the spool until `cancel` is done, and gives the reader back. While it keeps up, a
/// record waits for 100 ms and the batch before it. What fails is tried again, ever more slowly; records wait in the spool. Files are read off the
/// async threads, but for the last release.
pub async fn run(node: Node, reader: Reader, stats: Arc<IngestStats>, cancel: impl Future<Output = ()>) -> Reader {
    let mut reader = reader;
    let store = node.store();
    let (mut names, mut carried) = (Names::default(), Carried::default());
    let mut outage = Outage::new("ingest");
    let mut ahead = Trouble::default();
    let mut stored = None;
    let mut pace = Pace::new(store.kind(), BATCH_RECORDS_MAX);
    let mut pause = EVERY;
    let mut checkpoints = Checkpoints::default();
    tokio::pin!(cancel);
    loop {
        let batch;
        let records_max = pace.rows();
        (reader, batch) = turn(&node, (reader, records_max), stored.take(), stats.clone()).await;
        if let Some(error) = reader.take_failure()
            && ahead.is_news(store.clock().mono())
        {
            tracing::warn!(%error, cause = causes(&error), "the spool cannot grow; it is tried again");
        }
        let written = match batch {
            Ok(read) => write(&node, read, (&mut names, &mut carried), &stats).await,
            Err(error) => Err(error),
        };
        checkpoints.turn(store, written.as_ref().is_ok_and(|written| written.records > 0)).await;
        outage.note(&written);
        pause = match written {
            Ok(written) => {
                let full = written.records >= records_max;
                pace.note(written.records, written.took);
                stored = Some(written.batch);
                if full { Duration::ZERO } else { EVERY }
            }
            Err(_) => {
                stats.failures.fetch_add(1, Ordering::Relaxed);
                (pause * 2).clamp(EVERY, PAUSE_MAX)
            }
        };
        tokio::select! {
            biased;
            () = &mut cancel => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    if let Some(batch) = stored
        && let Err(error) = release(store, &mut reader, &batch)
    {
        tracing::warn!(%error, cause = causes(&error), "an ingested segment of the spool stays until the next start");
    }
    reader
}

/// Drains the spool until nothing waits: before the ports open, and when the last request has ended. Files are read on
/// the calling thread.
///
/// # Errors
/// [`IngestError`]; what was not written waits in the spool.
pub async fn drain(node: &Node, reader: &mut Reader, stats: &IngestStats) -> Result<(), IngestError> {
    let (mut names, mut carried) = (Names::default(), Carried::default());
    loop {
        let read = Read::next(reader, BATCH_RECORDS_MAX)?;
        let written = write(node, read, (&mut names, &mut carried), stats).await?;
        release(node.store(), reader, &written.batch)?;
        note_depth(node, reader, stats);
        if written.records == 0 {
            break;
        }
    }
    if let Err(error) = node.store().write_last_use(true).await {
        tracing::warn!(%error, cause = causes(&error), "when keys were last used is not written");
    }
    Ok(())
}

/// What was read of the spool, and what is still open of what goes with it.
#[derive(Debug)]
struct Read {
    batch: spool::Batch,
    carried: Vec<OpenRequest>,
}

impl Read {
    fn next(reader: &mut Reader, records_max: usize) -> Result<Self, SpoolError> {
        let batch = reader.next_batch(records_max)?;
        let carried = reader.requests_to_store(&batch);
        Ok(Self { batch, carried })
    }
}

/// A batch that is stored and may be released.
#[derive(Debug)]
struct Written {
    batch: spool::Batch,
    records: usize,
    took: Duration,
}

async fn write(
    node: &Node,
    read: Read,
    known: (&mut Names, &mut Carried),
    stats: &IngestStats,
) -> Result<Written, IngestError> {
    let Read { mut batch, carried } = read;
    let read = std::mem::take(&mut batch.records);
    let records = read.len();
    let ended = |record: &Record| match record {
        Record::Close(event) | Record::Event(event) => Some(event.ended_at()),
        Record::Open(_) | Record::Counts { .. } | Record::CloseBatch { .. } => None,
    };
    let events = read.iter().filter_map(ended).count();
    let oldest = read.iter().filter_map(ended).min();
    let mut rows =
        Rows { records: batch.record_positions().zip(read).collect(), read: batch.positions().collect(), carried };
    let mut took = Duration::ZERO;
    if !rows.read.is_empty() {
        let leaving = node.backlog().leaving(&rows.records).await;
        took = rows.write(node, known, leaving.as_ref()).await?;
        let store = node.store();
        let now = store.clock().now();
        store.last_use().note_all(rows.uses(now));
        if let Some(oldest) = oldest {
            stats.lag_micros.store(now.0.saturating_sub(oldest.0), Ordering::Relaxed);
        }
        stats.events.fetch_add(u64::try_from(events).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    Ok(Written { batch, records, took })
}

/// Releases a batch that is stored. Where segments are removed with it, the disk must have what was stored of them.
fn release(store: &Store, reader: &mut Reader, batch: &spool::Batch) -> Result<(), IngestError> {
    if reader.would_remove_segments(batch) {
        store.sync()?;
    }
    Ok(reader.release(batch)?)
}

/// Releases what is stored and reads on, off the async threads: both wait for the disk.
async fn turn(
    node: &Node,
    (mut reader, records_max): (Reader, usize),
    stored: Option<spool::Batch>,
    stats: Arc<IngestStats>,
) -> (Reader, Result<Read, IngestError>) {
    let node = node.clone();
    let turned = tokio::task::spawn_blocking(move || {
        let released = stored.map_or(Ok(()), |stored| release(node.store(), &mut reader, &stored));
        let batch = released.and_then(|()| {
            note_depth(&node, &mut reader, &stats);
            Ok(Read::next(&mut reader, records_max)?)
        });
        (reader, batch)
    });
    match turned.await {
        Ok(turned) => turned,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

fn note_depth(node: &Node, reader: &mut Reader, stats: &IngestStats) {
    let now = node.store().clock().now();
    // What cannot be read here cannot be read as a batch either, and is reported there.
    if let Ok(depth) = reader.depth() {
        stats.oldest_micros.store(depth.oldest.map_or(0, |oldest| oldest.0), Ordering::Relaxed);
        match depth.oldest {
            Some(oldest) => node.note_ingested(oldest),
            None if depth.records == 0 => node.note_ingested(now),
            // Not on the disk yet, and so not to be read.
            None => {}
        }
    }
}

pub(crate) use names::clip;

#[cfg(test)]
pub(crate) use {carried::STATEMENTS as CARRIED, names::STATEMENTS as NAMES};

/// Every SQL text that is put together here.
#[cfg(test)]
pub(crate) fn texts(kind: crate::dialect::Kind) -> Vec<String> {
    [tables::texts(kind), write::texts(kind), carried::texts(kind)].concat()
}

#[cfg(test)]
mod tests;
