//! What a request holds until it ends.

use access::Timestamp;
use meter::{Charge, CommittedRequest, Period, Reservation};

use crate::capacity::{KeyPermit, RequestPermit, TunnelPermit};
use crate::refusal::counted_limits::CountedLimits;
use crate::upstream::targets::limits::TargetPermit;
use crate::worker::aggregation::PreloggedPart;

/// The permits, reservations and open records of a request.
pub(crate) struct RequestPermits {
    /// The permit that counts the request among those in flight, until the gateway itself responds or the response of the
    /// upstream has ended; `None` if too many are in flight.
    pub(crate) request: Option<RequestPermit>,
    /// The permit that counts the request among the requests in flight of its subject.
    pub(crate) subject: Option<KeyPermit>,
    /// The permit of a request that may become a tunnel.
    pub(crate) tunnel: Option<TunnelPermit>,
    /// The permit of the current attempt of an LLM call, if its target has limits. Boxed, because few requests have one.
    pub(crate) target: Option<Box<TargetPermit>>,
    /// The rate limits of the configuration in which the request counts, if any applies.
    pub(crate) rate_limits: Option<Box<CountedLimits>>,
    pub(crate) budgets: BudgetHold,
    /// The reservations of further attempts of an LLM call beyond that.
    pub(crate) further: Vec<BudgetHold>,
    /// Whether the spool has an open record of the request, which the record of its end closes.
    pub(crate) has_open_record: bool,
    /// The part of a pre-logged batch that the request uses, if it is a plain request with a quota.
    pub(crate) prelogged: Option<PreloggedPart>,
}

/// The state of the amounts that the request reserved in its budgets.
pub(crate) enum BudgetHold {
    Nothing,
    Reserved(Reservation),
    CommittedRequest(CommittedRequest),
}

impl BudgetHold {
    /// Returns the reserved amounts.
    pub(crate) fn charge(&self) -> Charge {
        match self {
            Self::Nothing => Charge::default(),
            Self::Reserved(reservation) => reservation.charge(),
            Self::CommittedRequest(committed) => committed.reserved(),
        }
    }

    /// Returns the windows of the user or the subject in which the request counts.
    pub(crate) fn windows(&self) -> Vec<Period> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Reserved(reservation) => reservation.windows(),
            Self::CommittedRequest(committed) => committed.windows(),
        }
    }

    /// Returns whether the request counts in a window of its user or subject.
    pub(crate) fn has_windows(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Reserved(reservation) => reservation.has_windows(),
            Self::CommittedRequest(committed) => committed.has_windows(),
        }
    }

    /// Commits a reservation of a request that was made at `at`.
    pub(crate) fn commit(&mut self, at: Timestamp) {
        *self = match std::mem::replace(self, Self::Nothing) {
            Self::Reserved(reservation) => Self::CommittedRequest(reservation.commit(at)),
            held @ (Self::Nothing | Self::CommittedRequest(_)) => held,
        };
    }
}

impl RequestPermits {
    /// Takes the reservations of further attempts: those that were committed, and those that were not sent.
    pub(crate) fn take_further(&mut self) -> (Vec<CommittedRequest>, Vec<Reservation>) {
        let mut committed = Vec::new();
        let mut unsent = Vec::new();
        for hold in std::mem::take(&mut self.further) {
            match hold {
                BudgetHold::CommittedRequest(request) => committed.push(request),
                BudgetHold::Reserved(reservation) => unsent.push(reservation),
                BudgetHold::Nothing => {}
            }
        }
        (committed, unsent)
    }

    /// Returns the amounts that are reserved for all attempts.
    pub(crate) fn reserved(&self) -> Charge {
        self.further.iter().fold(self.budgets.charge(), |sum, more| sum.and(&more.charge()))
    }

    /// Returns the permits of a request that has only this one.
    pub(crate) const fn from_permit(request: Option<RequestPermit>) -> Self {
        Self {
            request,
            subject: None,
            tunnel: None,
            target: None,
            rate_limits: None,
            budgets: BudgetHold::Nothing,
            further: Vec::new(),
            has_open_record: false,
            prelogged: None,
        }
    }
}
