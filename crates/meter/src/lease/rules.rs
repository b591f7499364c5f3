//! The rules on which the guarantee rests, one function each: what a reader checks, and what the simulation breaks one by
//! one to show that it would see it.

use std::time::Duration;

use access::{Mono, Timestamp};

use super::LeaseRequest;
use crate::budget::Period;

/// The lender lends for periods that its clock, give or take this, calls current.
const CLOCKS_DIFFER: Duration = Duration::from_secs(300);
/// A lease is at most what is left, divided by so many for each live node: one that dies strands no more than that.
const SHARE: u64 = 4;

/// What a node holds at most of what is left and does not use, where so many nodes live, its own share included; more only while
/// requests wait for it, which take it at once.
#[must_use]
pub const fn share(left: u64, live: u64) -> u64 {
    left / SHARE.saturating_mul(if live == 0 { 1 } else { live })
}

/// The rules. Each default is the rule; others are mutants.
pub trait LeaseRules {
    /// Holder: whether a grant is believed, given the number of the ask that it answers and of the latest one.
    ///
    /// An older one grants what the holder has handed back since.
    fn accepts_grant(&self, answered: u64, latest: u64) -> bool {
        answered == latest
    }

    /// Holder: until when a grant may be used. The ask was sent before the lender's time began to run; a tenth is for
    /// clocks of different speed.
    fn deadline(&self, sent_at: Mono, _heard_at: Mono, ttl: Duration) -> Mono {
        Mono(sent_at.0.saturating_add(nanos(ttl) / 10 * 9))
    }

    /// Holder: whether it restricts itself before it says so.
    fn lowers_first(&self) -> bool {
        true
    }

    /// Holder: whether a lease may be closed.
    fn may_close(&self, used: u64, spent: u64) -> bool {
        used == spent
    }

    /// Holder: what a lease that is closed has spent.
    fn final_spent(&self, spent: u64) -> u64 {
        spent
    }

    /// Holder: whether a recalled lease hands back what it does not use.
    fn hands_back(&self) -> bool {
        true
    }

    /// Holder: whether a waiting request for which too little is left is refused: since it came a recall has begun,
    /// `round` (0: not yet), and all up to `drained` are answered by everybody.
    fn is_refused(&self, round: u64, drained: u64) -> bool {
        round != 0 && round <= drained
    }

    /// Lender: whether a tick is of an incarnation that has been followed by another.
    fn is_fenced(&self, incarnation: u64, latest: u64) -> bool {
        incarnation < latest
    }

    /// Lender: whether an ask is newer than the last one.
    fn is_newer(&self, seq: u64, last: u64) -> bool {
        seq > last
    }

    /// Lender: what is granted before anything is added: what the holder restricts itself to. Where it has not heard yet that
    /// the rest was reclaimed, what it uses: it is past its deadline, and takes nothing before it has heard.
    fn granted_before(&self, _granted: u64, request: &LeaseRequest, term: u64) -> u64 {
        if request.term < term { request.used } else { request.ceiling }
    }

    /// Lender: what was spent of a lease that is closed, perhaps once more, by what is known and what is said.
    fn spent_at_close(&self, known: u64, said: u64) -> u64 {
        known.max(said)
    }

    /// Lender: whether what is not spent of a lease may be taken from its holder.
    fn may_reclaim(&self, past_deadline: bool) -> bool {
        past_deadline
    }

    /// Lender: what may still be granted, of a limit of which so much is granted and so much was spent of closed leases.
    fn left(&self, limit: u64, granted: u64, closed: u64) -> u64 {
        limit.saturating_sub(granted).saturating_sub(closed)
    }

    /// Lender: how much of `left` an ask gets: its share, less what it holds and does not use, or exactly what waiting requests
    /// need, all of them, the first ones that fit, or the first.
    /// `contended` is where somebody else waits: then nobody gets more than that.
    fn grant_amount(&self, request: &LeaseRequest, left: u64, (live, contended): (u64, bool)) -> u64 {
        let unused = request.ceiling.saturating_sub(request.used);
        let share = if contended { 0 } else { share(left, live).saturating_sub(unused) };
        if request.queued <= left {
            return request.want.min(share).max(request.queued);
        }
        [request.need_fitting.max(request.need), request.need].into_iter().find(|more| *more <= left).unwrap_or(0)
    }

    /// Lender: whether it lends for a period at all.
    fn is_current(&self, period: Period, at: Timestamp) -> bool {
        let early = Timestamp(at.0.saturating_add(micros(CLOCKS_DIFFER)));
        let late = Timestamp(at.0.saturating_sub(micros(CLOCKS_DIFFER)));
        period.first().start() <= early && late < period.end()
    }

    /// Lender: up to which recall another lease has nothing to hand back.
    fn drained(&self, other: OtherLease) -> u64 {
        match other {
            OtherLease { past_deadline: true, .. } => u64::MAX,
            OtherLease { granted, used, .. } if granted > used => 0,
            OtherLease { answered_recall, .. } => answered_recall,
        }
    }

    /// Lender: whether what a closed lease was granted is free again.
    fn frees_closed(&self) -> bool {
        true
    }

    /// Lender: whether somebody who finds nothing left has the others recalled.
    fn recalls(&self) -> bool {
        true
    }

    /// Lender: whether an ask on a closed lease opens it again.
    fn reopens(&self) -> bool {
        false
    }
}

/// A lease of another node, as the lender last heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherLease {
    /// The latest recall that it has answered.
    pub answered_recall: u64,
    /// What is granted of it.
    pub granted: u64,
    /// What its holder used, by its latest ask.
    pub used: u64,
    /// Whether its holder admits nothing any more, by the lender's clock.
    pub past_deadline: bool,
}

/// The rules as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StandardRules;

impl LeaseRules for StandardRules {}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
