//! The thread that syncs what the writers appended, a lane's records together, and tells who waits for it.
//!
//! What a failed sync left is not known: the kernel may take those pages for written. So the next round writes them again
//! before it syncs, and whoever waited is told of the failure at once.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::disk;
use crate::error::SpoolError;
use crate::folder::{Durability, Folder, lock};
use crate::lane::Lane;
use crate::position::Position;
use crate::record::{self, Kind};
use crate::segment::Segment;

/// How soon it tries again after the disk refused.
const RETRY: Duration = Duration::from_millis(100);

/// The thread; it ends when the last writer and the reader are dropped, and syncs once more before.
#[derive(Debug)]
pub(crate) struct Sync {
    rounds: Arc<Rounds>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Syncs all lanes, one after the other.
#[derive(Debug)]
struct Rounds {
    folder: Arc<Folder>,
    /// Each with what was open at its last sync.
    lanes: Mutex<Vec<Syncing>>,
}

#[derive(Debug)]
struct Syncing {
    lane: Arc<Lane>,
    open: Option<Segment>,
    /// A sync failed: what is not known to be on the disk is written again first.
    doubtful: bool,
}

impl Sync {
    /// `None` where nobody waits for the disk.
    pub(crate) fn start(folder: Arc<Folder>, lanes: &[Arc<Lane>]) -> Result<Option<Self>, SpoolError> {
        if folder.durability == Durability::Process {
            return Ok(None);
        }
        let syncing = |lane: &Arc<Lane>| Syncing { lane: Arc::clone(lane), open: None, doubtful: false };
        let at = folder.dir.clone();
        let rounds = Arc::new(Rounds { folder, lanes: Mutex::new(lanes.iter().map(syncing).collect()) });
        let stopping = Arc::new(AtomicBool::new(false));
        let (work, told) = (Arc::clone(&rounds), Arc::clone(&stopping));
        let thread = thread::Builder::new()
            .name("spool-sync".to_owned())
            .spawn(disk::carried(move || run(&work, &told)))
            .map_err(SpoolError::io("start a thread for", &at))?;
        Ok(Some(Self { rounds, stopping, thread: Some(thread) }))
    }

    /// Something was appended.
    pub(crate) fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Syncs here and now.
    pub(crate) fn now(&self) -> Result<(), SpoolError> {
        self.rounds.run()
    }
}

impl Drop for Sync {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the hook; what is not synced is not reported as synced.
            let _ = thread.join();
        }
    }
}

fn run(rounds: &Rounds, stopping: &AtomicBool) {
    loop {
        let last = stopping.load(Ordering::Acquire);
        let done = rounds.run();
        let failed = done.is_err();
        if let Err(error) = done {
            rounds.folder.note(error);
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

impl Rounds {
    /// Every lane is tried; the first failure is answered.
    fn run(&self) -> Result<(), SpoolError> {
        let mut done = Ok(());
        for syncing in lock(&self.lanes).iter_mut() {
            // Before the place is read, so that what comes after it asks again.
            syncing.lane.sync_asked.store(false, Ordering::SeqCst);
            let synced = syncing.run(&self.folder);
            match &synced {
                Ok(()) => syncing.lane.waiting.tell_synced(syncing.lane.synced()),
                Err(error) => {
                    syncing.doubtful = true;
                    syncing.lane.waiting.tell_failed(error);
                }
            }
            done = done.and(synced);
        }
        done
    }
}

impl Syncing {
    fn run(&mut self, folder: &Folder) -> Result<(), SpoolError> {
        let until = self.lane.published();
        let mut at = self.lane.synced();
        while at < until {
            let segment = match self.open.take().filter(|open| open.number == at.segment) {
                Some(open) => open,
                None => Segment::open(&folder.dir, at.lane, at.segment)?,
            };
            let segment = self.open.insert(segment);
            let end = if at.segment == until.segment { until.offset } else { segment.bytes };
            if self.doubtful {
                write_again(segment, at.offset, end)?;
            }
            segment.sync()?;
            at = if at.segment == until.segment { until } else { Position::start_of(at.lane, at.segment + 1) };
            self.lane.note_synced(at);
        }
        self.doubtful = false;
        Ok(())
    }
}

/// Makes the pages of the records from `from` until `until` dirty again, if what stands there is still what was written.
fn write_again(segment: &Segment, from: u32, until: u32) -> Result<(), SpoolError> {
    let mut bytes = vec![0; until.saturating_sub(from) as usize];
    let count = segment.read(&mut bytes, from)?;
    bytes.truncate(count);
    let (mut at, mut rest) = (from, bytes.as_slice());
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

/// Who waits for a lane's disk; one place for each [`Durable`] that was polled.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    state: Mutex<Waiters>,
}

#[derive(Debug, Default)]
struct Waiters {
    tickets: u64,
    waiting: Vec<Waiter>,
    failures: u64,
    /// Of the last failure.
    why: Option<(io::ErrorKind, PathBuf)>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    until: Position,
    waker: Waker,
}

impl Waiting {
    fn tell_synced(&self, synced: Position) {
        let mut state = lock(&self.state);
        let told: Vec<Waiter> = state.waiting.extract_if(.., |waiter| waiter.until <= synced).collect();
        drop(state);
        told.into_iter().for_each(|waiter| waiter.waker.wake());
    }

    fn tell_failed(&self, error: &SpoolError) {
        let mut state = lock(&self.state);
        state.failures += 1;
        state.why = match error {
            SpoolError::Io { source, file, .. } => Some((source.kind(), file.clone())),
            SpoolError::Corrupt { file, .. } => Some((io::ErrorKind::InvalidData, file.clone())),
            SpoolError::Full { .. }
            | SpoolError::TooLarge { .. }
            | SpoolError::Missing { .. }
            | SpoolError::Newer { .. }
            | SpoolError::OtherNode { .. }
            | SpoolError::TooSmall { .. }
            | SpoolError::SegmentSize { .. } => None,
        };
        let told = std::mem::take(&mut state.waiting);
        drop(state);
        told.into_iter().for_each(|waiter| waiter.waker.wake());
    }

    fn failures(&self) -> u64 {
        lock(&self.state).failures
    }
}

/// Becomes ready when what was appended before it was asked for survives what the spool promises to survive: at once
/// under [`Durability::Process`], and under [`Durability::Power`] when the disk has it. It may be dropped at any time, and
/// holds nothing of the writer.
///
/// Its error is the disk's: the record may or may not be there after a power cut, and is still to be closed.
#[derive(Debug)]
#[must_use = "it answers when the record is safe"]
pub struct Durable {
    lane: Arc<Lane>,
    until: Position,
    /// Failures before it was asked for.
    failures: u64,
    ticket: Option<u64>,
}

impl Durable {
    pub(crate) fn new(lane: &Arc<Lane>) -> Self {
        let failures = match lane.durability {
            Durability::Process => 0,
            Durability::Power => lane.waiting.failures(),
        };
        Self { lane: Arc::clone(lane), until: lane.published(), failures, ticket: None }
    }

    /// Whether it is ready, without waiting.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.lane.durability == Durability::Process || self.lane.synced() >= self.until
    }
}

impl Future for Durable {
    type Output = Result<(), SpoolError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.is_synced() {
            return Poll::Ready(Ok(()));
        }
        let mut state = lock(&this.lane.waiting.state);
        // Again, for who syncs moves the place before it looks who waits.
        if this.is_synced() {
            return Poll::Ready(Ok(()));
        }
        if state.failures > this.failures {
            let (kind, file) = state.why.clone().unwrap_or((io::ErrorKind::Other, PathBuf::new()));
            return Poll::Ready(Err(SpoolError::Io { action: "sync", file, source: kind.into() }));
        }
        let known = this.ticket.and_then(|ticket| state.waiting.iter_mut().find(|waiter| waiter.ticket == ticket));
        if let Some(waiter) = known {
            waiter.waker.clone_from(context.waker());
        } else {
            state.tickets += 1;
            this.ticket = Some(state.tickets);
            let waiter = Waiter { ticket: state.tickets, until: this.until, waker: context.waker().clone() };
            state.waiting.push(waiter);
        }
        Poll::Pending
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            lock(&self.lane.waiting.state).waiting.retain(|waiter| waiter.ticket != ticket);
        }
    }
}

#[cfg(test)]
mod tests;
