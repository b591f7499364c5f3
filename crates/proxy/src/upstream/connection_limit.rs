//! The bound of the connections to one backend, over all workers, and of the requests that wait for one.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use config::snapshot::PoolRules;
use thiserror::Error;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The connections to one backend over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct ConnectionLimit {
    connections_max: u32,
    pending_max: u32,
    /// The connections that may still be opened. Waiting requests get them in the order of their arrival.
    free: Arc<Semaphore>,
    /// The requests that wait for a connection.
    waiting: AtomicU32,
    /// The connections that no request uses.
    idle: AtomicU32,
    /// Wakes all workers, so that they close idle connections.
    wanted: Arc<Notify>,
}

/// The right to one open connection.
#[derive(Debug)]
pub(crate) struct OpeningPermit(#[expect(dead_code, reason = "it is dropped")] OwnedSemaphorePermit);

/// A request that waits for a connection. Dropping it ends the wait.
#[derive(Debug)]
pub(crate) struct PendingRequest {
    limit: Arc<ConnectionLimit>,
    /// Whether the request is one of those that wait.
    is_counted: Cell<bool>,
}

/// An idle connection. Dropping it ends its idle time.
#[derive(Debug)]
pub(crate) struct IdlePermit(Arc<ConnectionLimit>);

/// The maximum number of requests waits for a connection already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too many requests wait for a connection to this upstream")]
pub(crate) struct TooManyPending;

impl ConnectionLimit {
    /// Returns the limit of `rules`; `None` without a maximum. `wanted` wakes the workers.
    pub(crate) fn from_rules(rules: &PoolRules, wanted: &Arc<Notify>) -> Option<Arc<Self>> {
        let connections_max = rules.max_connections?;
        Some(Arc::new(Self {
            connections_max,
            pending_max: rules.pending,
            free: Arc::new(Semaphore::new(usize::try_from(connections_max).unwrap_or(Semaphore::MAX_PERMITS))),
            waiting: AtomicU32::new(0),
            idle: AtomicU32::new(0),
            wanted: wanted.clone(),
        }))
    }

    /// Whether the limit is that of `rules`.
    pub(crate) fn is_of(&self, rules: &PoolRules) -> bool {
        Some(self.connections_max) == rules.max_connections && self.pending_max == rules.pending
    }

    /// Returns the right to a new connection, if there is one and no request waits.
    pub(crate) fn try_open(&self) -> Option<OpeningPermit> {
        self.free.clone().try_acquire_owned().ok().map(OpeningPermit)
    }

    /// Waits for the right to a new connection. The future may be dropped.
    pub(crate) async fn open(&self) -> Option<OpeningPermit> {
        // The semaphore is never closed.
        self.free.clone().acquire_owned().await.ok().map(OpeningPermit)
    }

    /// Begins to wait for a connection. If any is idle, all workers are asked to close one.
    ///
    /// # Errors
    /// Too many requests wait already.
    pub(crate) fn wait(self: &Arc<Self>) -> Result<PendingRequest, TooManyPending> {
        let more = |waiting| (waiting < self.pending_max).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).map_err(|_| TooManyPending)?;
        if self.idle.load(Ordering::SeqCst) > 0 {
            self.wanted.notify_waiters();
        }
        Ok(PendingRequest { limit: self.clone(), is_counted: Cell::new(true) })
    }

    /// Returns the number of requests that wait, of all workers.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Counts an idle connection.
    pub(crate) fn rest(self: &Arc<Self>) -> IdlePermit {
        self.idle.fetch_add(1, Ordering::SeqCst);
        IdlePermit(self.clone())
    }
}

impl PendingRequest {
    /// Counts the request no longer: a connection is on its way to it.
    pub(crate) fn serve(&self) {
        if self.is_counted.replace(false) {
            self.limit.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Counts the request again: the connection that it got is unusable.
    pub(crate) fn wait_again(&self) {
        if !self.is_counted.replace(true) {
            self.limit.waiting.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        self.serve();
    }
}

impl Drop for IdlePermit {
    fn drop(&mut self) {
        self.0.idle.fetch_sub(1, Ordering::SeqCst);
    }
}
