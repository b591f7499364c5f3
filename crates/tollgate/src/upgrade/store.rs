//! The hand-over of a SQLite store to a successor: no request holds a reservation, and all usage is in the store.
//!
//! The meter of this process is the only one that counts against quotas and budgets. Therefore another process must not admit
//! requests before all charges are in the store, and this one must not admit any afterwards
//! (`docs/decisions/0043-upgrade-on-sqlite.md`).

use std::sync::Arc;
use std::time::Duration;

use proxy::{PausePhase, Shared};
use spool::BacklogCounter;
use tokio::time::{Instant, sleep};

use super::UpgradeFault;

/// Time for which connections end with their next response, before new ones wait.
const ANNOUNCED_FOR: Duration = Duration::from_secs(1);
/// Time for which a connection without a request remains, after the listeners have closed. A new client has sent its request
/// by then.
const SILENT_FOR: Duration = Duration::from_secs(1);
/// Maximum time until no request has a reservation. New connections wait meanwhile.
const SETTLED_WITHIN: Duration = Duration::from_secs(3);
/// Maximum time until the usage of the ended requests is in the store.
const STORED_WITHIN: Duration = Duration::from_secs(3);
/// Maximum time until the successor is ready, after it has the store.
pub(crate) const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// Interval between checks of a condition.
const STEP: Duration = Duration::from_millis(5);

/// The parts of a process that gives its store away.
#[derive(Debug, Clone)]
pub(crate) struct StoreHandover {
    pub(crate) shared: Arc<Shared>,
    /// The number of workers.
    pub(crate) workers: usize,
    /// The records that are not in the store.
    pub(crate) backlog: BacklogCounter,
}

/// A store that a successor may use. If this is dropped before [`Self::keep`], this process continues with it.
pub(crate) struct GivenStore {
    shared: Arc<Shared>,
    is_kept: bool,
}

impl StoreHandover {
    /// Ends the admission of requests, and waits until all usage is in the store. If the future is dropped, this process
    /// continues to admit.
    ///
    /// # Errors
    /// Requests hold reservations for too long, or usage cannot be stored. This process continues to admit.
    pub(crate) async fn give(&self) -> Result<GivenStore, UpgradeFault> {
        let given = GivenStore { shared: self.shared.clone(), is_kept: false };
        let pause = self.shared.shutdown.pause();
        pause.enter(PausePhase::Announced);
        sleep(ANNOUNCED_FOR).await;
        pause.enter(PausePhase::Closed);
        sleep(SILENT_FOR).await;
        pause.enter(PausePhase::Shut);
        if !until(SETTLED_WITHIN, || self.reservations() == 0).await {
            return Err(UpgradeFault::Reservations { count: self.reservations(), within: SETTLED_WITHIN });
        }
        pause.enter(PausePhase::Flushing);
        let is_stored = || pause.flushed() >= self.workers && self.backlog.unreleased().0 == 0;
        if !until(STORED_WITHIN, is_stored).await {
            return Err(UpgradeFault::Unstored { records: self.backlog.unreleased().0, within: STORED_WITHIN });
        }
        // An attempt that had a reservation before this one may have made another one.
        match self.reservations() {
            0 => Ok(given),
            count => Err(UpgradeFault::Reservations { count, within: SETTLED_WITHIN }),
        }
    }

    /// Returns the number of reservations that have not ended.
    fn reservations(&self) -> u64 {
        let totals = self.shared.meter.stats().totals();
        let ended = [totals.released_count, totals.settled_count, totals.dropped_count];
        ended.into_iter().fold(totals.reserved_count, u64::saturating_sub)
    }
}

impl GivenStore {
    /// Leaves the store to the successor.
    pub(crate) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for GivenStore {
    fn drop(&mut self) {
        if !self.is_kept {
            self.shared.shutdown.pause().enter(PausePhase::Open);
        }
    }
}

/// Waits until `is_met` in two checks, one after the other. Returns whether it was.
async fn until(within: Duration, is_met: impl Fn() -> bool) -> bool {
    let end = Instant::now() + within;
    let mut was_met = false;
    loop {
        let is_now_met = is_met();
        if is_now_met && was_met {
            return true;
        }
        if !is_now_met && Instant::now() >= end {
            return false;
        }
        was_met = is_now_met;
        sleep(STEP).await;
    }
}
