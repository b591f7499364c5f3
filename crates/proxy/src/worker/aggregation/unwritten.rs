//! Records of ended requests that the spool did not store. They are written again until the spool stores them. The
//! reserved amounts of their requests stay reserved until then.

use std::collections::VecDeque;

use meter::{Charge, CommittedRequest, PreloggedCredits, Reservation};
use spool::{Record, SpoolError};

use crate::worker::recorder::Recorder;

/// Maximum number of waiting events without an opening record. Closing records are bounded by the number of opened
/// requests.
const UNOPENED_MAX: usize = 10_000;

/// The records of a worker that wait to be written.
#[derive(Default)]
pub(super) struct UnwrittenRecords {
    waiting: VecDeque<(Record, PendingSettlement)>,
}

/// The settlement of budgets that follows when a record is stored. If it is dropped before, all amounts stay reserved,
/// because the next start charges them.
#[derive(Default)]
pub(crate) struct PendingSettlement(Option<Box<OwedSettlement>>);

/// What a request or a batch owes its budgets.
struct OwedSettlement {
    /// The request, the charge that was used, and the part of the charge that was reserved and not reported.
    settles: Option<(CommittedRequest, Charge, Charge)>,
    /// What further attempts of the request have reserved, and the charge that was used of it.
    more: Vec<(CommittedRequest, Charge)>,
    /// Surplus credits of a batch, to be released.
    spare: PreloggedCredits,
    /// Reservations of requests that were not sent, to be released.
    unsent: Vec<Reservation>,
}

impl PendingSettlement {
    /// Settles a request by `charge`, of which the upstream has not reported the part `estimated`.
    pub(crate) fn settling(committed: CommittedRequest, charge: Charge, estimated: Charge) -> Self {
        let settles = Some((committed, charge, estimated));
        let (more, spare, unsent) = Default::default();
        Self(Some(Box::new(OwedSettlement { settles, more, spare, unsent })))
    }

    /// Settles a request like [`Self::settling`] whose attempts have reserved more than `committed`: each of `further` takes the
    /// part of the charge that fits, and the first one the rest. `unsent` is released.
    pub(crate) fn settling_all(
        committed: CommittedRequest,
        further: Vec<CommittedRequest>,
        unsent: Vec<Reservation>,
        charge: Charge,
        estimated: Charge,
    ) -> Self {
        let mut left = charge.less(&committed.reserved());
        let mut rest = charge;
        let mut more = Vec::new();
        for held in further {
            // The smaller of both, for each measure.
            let part = left.less(&left.less(&held.reserved()));
            (left, rest) = (left.less(&part), rest.less(&part));
            more.push((held, part));
        }
        let settles = Some((committed, rest, estimated));
        let spare = PreloggedCredits::default();
        Self(Some(Box::new(OwedSettlement { settles, more, spare, unsent })))
    }

    /// Releases the reservations of a request that was not sent.
    pub(crate) fn unsent(reservations: Vec<Reservation>) -> Self {
        Self::unused(PreloggedCredits::default(), reservations)
    }

    /// Releases surplus credits and the reservations of requests that were not sent.
    pub(crate) fn unused(spare: PreloggedCredits, unsent: Vec<Reservation>) -> Self {
        Self(Some(Box::new(OwedSettlement { settles: None, more: Vec::new(), spare, unsent })))
    }

    /// Settles the budgets, because the record is stored.
    pub(crate) fn done(self) {
        let Some(mut owed) = self.0 else { return };
        if let Some((committed, charge, estimated)) = owed.settles.take() {
            settle(committed, &charge, &estimated);
        }
        for (committed, charge) in std::mem::take(&mut owed.more) {
            committed.settle(&charge);
        }
        drop((std::mem::take(&mut owed.spare), std::mem::take(&mut owed.unsent)));
    }
}

/// Settles a request by `charge`, of which the upstream has not reported the part `estimated`.
pub(crate) fn settle(committed: CommittedRequest, charge: &Charge, estimated: &Charge) {
    committed.note_estimated(estimated);
    committed.settle(charge);
}

impl Drop for OwedSettlement {
    fn drop(&mut self) {
        std::mem::take(&mut self.spare).forget();
        std::mem::take(&mut self.unsent).into_iter().for_each(Reservation::forget);
    }
}

impl UnwrittenRecords {
    /// Adds a record. Without room the record is lost; its dropped settlement is counted in
    /// `tollgate_meter_dropped_total`.
    pub(super) fn push(&mut self, record: Record, owed: PendingSettlement) {
        if record.closes().is_none() && self.waiting.len() >= UNOPENED_MAX {
            tracing::error!(request_id = %record.id(), "a usage event is lost: the spool takes nothing, and too many wait");
            return;
        }
        self.waiting.push_back((record, owed));
    }

    /// Writes the waiting records. Returns whether the spool stored all of them. The spool reserves room for closing
    /// records, so these are written even after an event was not stored.
    pub(super) fn write(&mut self, recorder: &Recorder) -> bool {
        let mut failed = None;
        for (record, owed) in std::mem::take(&mut self.waiting) {
            if failed.is_some() && record.closes().is_none() {
                self.waiting.push_back((record, owed));
                continue;
            }
            let appended = recorder.spool.borrow_mut().append(&record);
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
