//! A thread that syncs appended records and wakes the tasks that wait for them. One sync covers all new records of a
//! partition.
//!
//! After a failed sync the state of the pages is unknown: the kernel may consider them written. The next round
//! therefore writes them again before it syncs. Waiting tasks receive the failure at once.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::disk;
use crate::error::SpoolError;
use crate::folder::{Folder, SpoolDurability};
use crate::mutex::lock;
use crate::partition::Partition;
use crate::records::position::Position;
use crate::records::record::{self, Kind};
use crate::records::segment::Segment;
use crate::sync_waiters::SyncWaiter;

/// Time until the next try after a failed sync.
const RETRY: Duration = Duration::from_millis(100);

/// The thread's handle. The thread ends after a last sync when the last writer and the reader are dropped.
#[derive(Debug)]
pub(crate) struct Syncer {
    rounds: Arc<SyncRounds>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Syncs all partitions, one after the other.
#[derive(Debug)]
struct SyncRounds {
    folder: Arc<Folder>,
    /// Each partition with the segment of its last sync.
    partitions: Mutex<Vec<PartitionSync>>,
}

#[derive(Debug)]
struct PartitionSync {
    partition: Arc<Partition>,
    open: Option<Segment>,
    /// A sync failed: the records that may not be on the disk are written again first.
    must_rewrite: bool,
}

impl Syncer {
    /// Starts the thread; returns `None` under [`SpoolDurability::Process`].
    pub(crate) fn start(folder: Arc<Folder>, partitions: &[Arc<Partition>]) -> Result<Option<Self>, SpoolError> {
        if folder.durability == SpoolDurability::Process {
            return Ok(None);
        }
        let partition_sync = |partition: &Arc<Partition>| PartitionSync {
            partition: Arc::clone(partition),
            open: None,
            must_rewrite: false,
        };
        let at = folder.dir.clone();
        let rounds =
            Arc::new(SyncRounds { folder, partitions: Mutex::new(partitions.iter().map(partition_sync).collect()) });
        let stopping = Arc::new(AtomicBool::new(false));
        let work = Arc::clone(&rounds);
        let stop = Arc::clone(&stopping);
        let thread = thread::Builder::new()
            .name("spool-sync".to_owned())
            .spawn(disk::inherit_disk(move || run(&work, &stop)))
            .map_err(SpoolError::io("start a thread for", &at))?;
        Ok(Some(Self { rounds, stopping, thread: Some(thread) }))
    }

    /// Wakes the thread after an append.
    pub(crate) fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Syncs all partitions on the current thread.
    pub(crate) fn sync_all(&self) -> Result<(), SpoolError> {
        self.rounds.run()
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported a panic of the thread; its records are not reported as synced.
            let _ = thread.join();
        }
    }
}

fn run(rounds: &SyncRounds, stopping: &AtomicBool) {
    loop {
        let last = stopping.load(Ordering::Acquire);
        let done = rounds.run();
        let failed = done.is_err();
        if let Err(error) = done {
            rounds.folder.record_failure(error);
        }
        if last {
            break;
        } else if failed {
            thread::park_timeout(RETRY);
        } else {
            thread::park();
        }
    }
}

impl SyncRounds {
    /// Syncs every partition; returns the first failure.
    fn run(&self) -> Result<(), SpoolError> {
        let mut done = Ok(());
        for partition_sync in lock(&self.partitions).iter_mut() {
            // Cleared before the position is read, so that a later append wakes the thread again.
            partition_sync.partition.sync_requested.store(false, Ordering::SeqCst);
            let synced = partition_sync.run(&self.folder);
            match &synced {
                Ok(()) => partition_sync.partition.sync_waiters.wake_synced(partition_sync.partition.synced()),
                Err(error) => {
                    partition_sync.must_rewrite = true;
                    partition_sync.partition.sync_waiters.fail_all(error);
                }
            }
            done = done.and(synced);
        }
        done
    }
}

impl PartitionSync {
    fn run(&mut self, folder: &Folder) -> Result<(), SpoolError> {
        let until = self.partition.published();
        let mut at = self.partition.synced();
        while at < until {
            let segment = match self.open.take().filter(|open| open.number == at.segment) {
                Some(open) => open,
                None => Segment::open(&folder.dir, at.partition, at.segment)?,
            };
            let segment = self.open.insert(segment);
            let end = if at.segment == until.segment { until.offset } else { segment.bytes };
            if self.must_rewrite {
                rewrite(segment, at.offset, end)?;
            }
            segment.sync()?;
            at = if at.segment == until.segment { until } else { Position::start_of(at.partition, at.segment + 1) };
            self.partition.mark_synced(at);
        }
        self.must_rewrite = false;
        Ok(())
    }
}

/// Writes the records from `from` until `until` again, if they are still intact, so that their pages become dirty.
fn rewrite(segment: &Segment, from: u32, until: u32) -> Result<(), SpoolError> {
    let mut bytes = vec![0; until.saturating_sub(from) as usize];
    let count = segment.read(&mut bytes, from)?;
    bytes.truncate(count);
    let mut at = from;
    let mut rest = bytes.as_slice();
    while at < until {
        let frame = record::frame(rest, segment.seed, at).ok_or_else(|| segment.corrupt(at))?;
        rest = rest.get(frame.len() as usize..).unwrap_or_default();
        at += frame.len();
        if frame.kind() == Ok(Kind::End) {
            break;
        }
    }
    segment.write(bytes.get(..at.saturating_sub(from) as usize).unwrap_or_default(), from)
}

/// A future that completes when all records appended before its creation have the spool's durability: at once under
/// [`SpoolDurability::Process`], after a sync under [`SpoolDurability::Power`]. It may be dropped at any time and does not borrow
/// the writer.
///
/// After an error it is unknown whether the records survive a power cut. An open request must be closed nevertheless.
#[derive(Debug)]
#[must_use = "await it to know when the records are durable"]
pub struct DurableFuture {
    partition: Arc<Partition>,
    until: Position,
    /// Number of failures before its creation.
    failures: u64,
    ticket: Option<u64>,
}

impl DurableFuture {
    pub(crate) fn new(partition: &Arc<Partition>) -> Self {
        let failures = match partition.durability {
            SpoolDurability::Process => 0,
            SpoolDurability::Power => partition.sync_waiters.failures(),
        };
        Self { partition: Arc::clone(partition), until: partition.published(), failures, ticket: None }
    }

    /// Returns whether the future is ready.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.partition.durability == SpoolDurability::Process || self.partition.synced() >= self.until
    }
}

impl Future for DurableFuture {
    type Output = Result<(), SpoolError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.is_synced() {
            return Poll::Ready(Ok(()));
        }
        let mut state = lock(&this.partition.sync_waiters.state);
        // Checked again under the lock, because the sync thread advances the position before it locks the waiters.
        if this.is_synced() {
            return Poll::Ready(Ok(()));
        }
        if state.failures > this.failures {
            let (kind, file) = state.last_error.clone().unwrap_or((io::ErrorKind::Other, PathBuf::new()));
            return Poll::Ready(Err(SpoolError::Io { action: "sync", file, source: kind.into() }));
        }
        let known = this.ticket.and_then(|ticket| state.waiters.iter_mut().find(|waiter| waiter.ticket == ticket));
        if let Some(waiter) = known {
            waiter.waker.clone_from(context.waker());
        } else {
            state.tickets += 1;
            this.ticket = Some(state.tickets);
            let waiter = SyncWaiter { ticket: state.tickets, until: this.until, waker: context.waker().clone() };
            state.waiters.push(waiter);
        }
        Poll::Pending
    }
}

impl Drop for DurableFuture {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            lock(&self.partition.sync_waiters.state).waiters.retain(|waiter| waiter.ticket != ticket);
        }
    }
}

#[cfg(test)]
mod tests;
