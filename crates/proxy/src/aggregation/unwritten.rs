//! Ends of requests that the spool did not take: they are written again until it does. What was taken in advance for them is held
//! until then.

use std::collections::VecDeque;

use meter::{Charge, CommittedRequest, PreloggedCredits, Reservation};
use spool::{Record, SpoolError};

use crate::worker::Worker;

/// Events without an open that wait; of opened requests as many as there are.
const UNOPENED_MAX: usize = 10_000;

/// A worker's records that wait.
#[derive(Default)]
pub(super) struct UnwrittenRecords {
    waiting: VecDeque<(Record, PendingSettlement)>,
}

/// What becomes of budgets when a record is written. Dropped before, all of it stays taken: the next start counts it.
#[derive(Default)]
pub(crate) struct PendingSettlement {
    /// With what was used, and how much of it nobody said.
    settles: Option<(CommittedRequest, Charge, Charge)>,
    /// Given back.
    spare: PreloggedCredits,
    unsent: Vec<Reservation>,
}

impl PendingSettlement {
    /// A request has used so much, and so much of it nobody said.
    pub(crate) fn settling(committed: CommittedRequest, charge: Charge, unsaid: Charge) -> Self {
        Self { settles: Some((committed, charge, unsaid)), spare: PreloggedCredits::default(), unsent: Vec::new() }
    }

    /// A request was not sent.
    pub(crate) fn unsent(reservation: Reservation) -> Self {
        Self::unused(PreloggedCredits::default(), vec![reservation])
    }

    /// Nobody used these.
    pub(crate) fn unused(spare: PreloggedCredits, unsent: Vec<Reservation>) -> Self {
        Self { settles: None, spare, unsent }
    }

    /// It is recorded.
    pub(crate) fn done(mut self) {
        if let Some((committed, charge, unsaid)) = self.settles.take() {
            committed.note_estimated(&unsaid);
            committed.settle(&charge);
        }
        drop((std::mem::take(&mut self.spare), std::mem::take(&mut self.unsent)));
    }
}

impl Drop for PendingSettlement {
    fn drop(&mut self) {
        std::mem::take(&mut self.spare).forget();
        std::mem::take(&mut self.unsent).into_iter().for_each(Reservation::forget);
    }
}

impl UnwrittenRecords {
    /// What finds no room here is lost, and dropped unsettled it shows in `tollgate_meter_dropped_total`.
    pub(super) fn push(&mut self, record: Record, owed: PendingSettlement) {
        if record.closes().is_none() && self.waiting.len() >= UNOPENED_MAX {
            tracing::error!(request_id = %record.id(), "a usage event is lost: the spool takes nothing, and too many wait");
            return;
        }
        self.waiting.push_back((record, owed));
    }

    /// Writes what waits; says whether the spool took it all. Closes have room of their own: none waits for an event that has not.
    pub(super) fn write(&mut self, worker: &Worker) -> bool {
        let mut failed = None;
        for (record, owed) in std::mem::take(&mut self.waiting) {
            if failed.is_some() && record.closes().is_none() {
                self.waiting.push_back((record, owed));
                continue;
            }
            let appended = worker.spool.borrow_mut().append(&record);
            match appended {
                Ok(()) => owed.done(),
                Err(error @ SpoolError::TooLarge { .. }) => {
                    tracing::error!(request_id = %record.id(), %error, "a usage event is lost");
                }
                Err(error) => {
                    failed = Some(error);
                    self.waiting.push_back((record, owed));
                }
            }
        }
        if let Some(error) = &failed {
            tracing::error!(%error, waiting = self.waiting.len(), "usage cannot be recorded yet");
        }
        failed.is_none()
    }
}
