//! The tasks that wait for the sync of a partition.

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::task::Waker;

use crate::error::SpoolError;
use crate::mutex::lock;
use crate::records::position::Position;

/// The tasks that wait for a partition's sync, one entry per polled [`DurableFuture`](crate::DurableFuture).
#[derive(Debug, Default)]
pub(crate) struct SyncWaiters {
    pub(crate) state: Mutex<WaiterList>,
}

#[derive(Debug, Default)]
pub(crate) struct WaiterList {
    pub(crate) tickets: u64,
    pub(crate) waiters: Vec<SyncWaiter>,
    pub(crate) failures: u64,
    /// The error of the last failure.
    pub(crate) last_error: Option<(io::ErrorKind, PathBuf)>,
}

#[derive(Debug)]
pub(crate) struct SyncWaiter {
    pub(crate) ticket: u64,
    pub(crate) until: Position,
    pub(crate) waker: Waker,
}

impl SyncWaiters {
    pub(crate) fn wake_synced(&self, synced: Position) {
        let mut state = lock(&self.state);
        let woken: Vec<SyncWaiter> = state.waiters.extract_if(.., |waiter| waiter.until <= synced).collect();
        drop(state);
        woken.into_iter().for_each(|waiter| waiter.waker.wake());
    }

    pub(crate) fn fail_all(&self, error: &SpoolError) {
        let mut state = lock(&self.state);
        state.failures += 1;
        state.last_error = match error {
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
        let woken = std::mem::take(&mut state.waiters);
        drop(state);
        woken.into_iter().for_each(|waiter| waiter.waker.wake());
    }

    pub(crate) fn failures(&self) -> u64 {
        lock(&self.state).failures
    }
}
