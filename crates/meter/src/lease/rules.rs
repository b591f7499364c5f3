//! The rules that guarantee correct leases, one function each. Reviewers check them, and the simulation breaks each
//! rule to show that it detects the error.

use std::time::Duration;

use access::{Amount, Mono, Timestamp};

use super::LeaseRequest;
use crate::budgets::period::Period;

/// The lease server lends for the periods that are current by its clock, with this tolerance.
const CLOCKS_DIFFER: Duration = Duration::from_secs(300);
/// A share is the amount left, divided by this number and by the number of live nodes. The leases of a dead node are at most
/// this.
const SHARE: u64 = 4;

/// Returns the maximum unused amount that a node holds of the amount left, with `live_nodes` nodes. A node gets more only for
/// waiting requests, which use it at once.
#[must_use]
pub const fn share(left: Amount, live_nodes: u64) -> Amount {
    left.part(SHARE.saturating_mul(if live_nodes == 0 { 1 } else { live_nodes }))
}

/// The rules of lease client and lease server. The default methods are the rules; simulations override them.
pub trait LeaseRules {
    /// Client: returns whether a grant is valid, by the number of the request that it answers and of the latest
    /// request.
    ///
    /// The grant of an older request may include amounts that the client has returned since.
    fn accepts_grant(&self, answered: u64, latest: u64) -> bool {
        answered == latest
    }

    /// Client: returns the time until which a grant may be used. The request was sent before the server's time began to
    /// run; a tenth is subtracted for clocks of different speed.
    fn deadline(&self, sent_at: Mono, _heard_at: Mono, ttl: Duration) -> Mono {
        Mono(sent_at.0.saturating_add(nanos(ttl) / 10 * 9))
    }

    /// Client: returns whether it restricts itself before it reports so.
    fn lowers_first(&self) -> bool {
        true
    }

    /// Client: returns whether a lease may be closed.
    fn may_close(&self, used: Amount, spent: Amount) -> bool {
        used == spent
    }

    /// Client: returns the spent amount that closes a lease.
    fn final_spent(&self, spent: Amount) -> Amount {
        spent
    }

    /// Client: returns whether a recalled lease returns its surplus.
    fn hands_back(&self) -> bool {
        true
    }

    /// Client: returns whether a waiting request for which too little is left is refused. `round` is the recall that
    /// began after it arrived (0: none yet); all nodes have answered the recalls up to `drained`.
    fn is_refused(&self, round: u64, drained: u64) -> bool {
        round != 0 && round <= drained
    }

    /// Server: returns whether a tick is from an incarnation that has a successor.
    fn is_fenced(&self, incarnation: u64, latest: u64) -> bool {
        incarnation < latest
    }

    /// Server: returns whether a request is newer than the last one.
    fn is_newer(&self, seq: u64, last: u64) -> bool {
        seq > last
    }

    /// Server: returns the granted amount before anything is added: the amount to which the client restricts itself. If
    /// the client does not know yet that its surplus was reclaimed, it is the used amount: the lease has expired, and
    /// the client takes nothing before the reply.
    fn granted_before(&self, _granted: Amount, request: &LeaseRequest, term: u64) -> Amount {
        if request.term < term { request.used } else { request.ceiling }
    }

    /// Server: returns the spent amount of a lease that is closed, possibly repeatedly.
    fn spent_at_close(&self, known: Amount, reported: Amount) -> Amount {
        known.max(reported)
    }

    /// Server: returns whether the unspent amount of a lease may be reclaimed.
    fn may_reclaim(&self, past_deadline: bool) -> bool {
        past_deadline
    }

    /// Server: returns the amount that may still be granted, by the limit, the granted amount and the spent amount of
    /// closed leases.
    fn left(&self, limit: Amount, granted: Amount, closed: Amount) -> Amount {
        limit.saturating_sub(granted).saturating_sub(closed)
    }

    /// Server: returns the part of `left` that a request gets: its share less its unused amount, or exactly the amount
    /// that waiting requests need (all of them, the first ones that fit, or the first). While requests of another node
    /// wait, it is only the latter.
    fn grant_amount(&self, request: &LeaseRequest, left: Amount, contention: Contention) -> Amount {
        let Contention { live_nodes, contended } = contention;
        let unused = request.ceiling.saturating_sub(request.used);
        let share = if contended { Amount::ZERO } else { share(left, live_nodes).saturating_sub(unused) };
        if request.queued <= left {
            return request.want.min(share).max(request.queued);
        }
        [request.need_fitting.max(request.need), request.need]
            .into_iter()
            .find(|more| *more <= left)
            .unwrap_or_default()
    }

    /// Server: returns whether it lends for a period.
    fn is_current(&self, period: Period, at: Timestamp) -> bool {
        let early = Timestamp(at.0.saturating_add(micros(CLOCKS_DIFFER)));
        let late = Timestamp(at.0.saturating_sub(micros(CLOCKS_DIFFER)));
        period.first().start() <= early && late < period.end()
    }

    /// Server: returns the recall up to which another lease has no surplus.
    fn drained(&self, other: OtherLease) -> u64 {
        match other {
            OtherLease { past_deadline: true, .. } => u64::MAX,
            OtherLease { granted, used, .. } if granted > used => 0,
            OtherLease { answered_recall, .. } => answered_recall,
        }
    }

    /// Server: returns whether the granted amount of a closed lease is free again.
    fn frees_closed(&self) -> bool {
        true
    }

    /// Server: returns whether a request that gets too little starts a recall.
    fn recalls(&self) -> bool {
        true
    }

    /// Server: returns whether a request for a closed lease opens it again.
    fn reopens(&self) -> bool {
        false
    }
}

/// The demand of the other nodes for a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contention {
    /// The number of live nodes, the requesting node included.
    pub live_nodes: u64,
    /// Whether requests of another node wait.
    pub contended: bool,
}

/// A lease of another node, as the server knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherLease {
    /// The latest recall that it has answered.
    pub answered_recall: u64,
    /// The granted amount of the lease.
    pub granted: Amount,
    /// The used amount in its latest request.
    pub used: Amount,
    /// Whether the lease has expired by the server's clock.
    pub past_deadline: bool,
}

/// The rules without changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StandardRules;

impl LeaseRules for StandardRules {}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
