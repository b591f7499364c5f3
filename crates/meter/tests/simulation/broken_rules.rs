//! Each rule, broken in one way: the simulation must detect every one of them.

use std::time::Duration;

use access::{Amount, Mono, Timestamp};
use meter::Period;
use meter::lease::LeaseRequest;
use meter::lease::rules::{Contention, LeaseRules, OtherLease, StandardRules};

macro_rules! mutants {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// A way to break one rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum BrokenRule { $($(#[doc = $doc])* $name,)* }

        impl BrokenRule {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

mutants! {
    /// The client accepts a grant for an earlier request.
    BelievesOldGrants,
    /// The client's deadline is counted from the reply.
    TimeFromTheAnswer,
    /// The client's deadline is twice as long as the granted time.
    TimeTwiceAsLong,
    /// The client reports that it returned surplus, and continues to use it.
    HandsBackInWordsOnly,
    /// The client closes a lease while a part of it is reserved.
    ClosesTooEarly,
    /// The client closes a lease without the last unit that it spent.
    ForgetsAUnitAtClose,
    /// The client answers recalls and returns nothing.
    KeepsWhatIsRecalled,
    /// A request is refused by information from before it arrived.
    RefusedByOldNews,
    /// A request is refused as soon as nothing is left to lend.
    RefusedAtOnce,
    /// A request is never refused as exhausted.
    NeverRefused,
    /// The server accepts ticks of an incarnation that has a successor.
    HearsTheDead,
    /// The server accepts a request that is older than the last one.
    TakesOldAsks,
    /// The server applies a duplicated request twice.
    TakesAsksTwice,
    /// Returned surplus stays granted.
    NeverTakesBack,
    /// Unused amounts of a client count as returned.
    TakesBackWhatIsHeld,
    /// A grant stays recorded even if the client never received it.
    CountsLostGrants,
    /// A close that arrives twice is counted twice.
    CountsClosesTwice,
    /// The spent amount of closed leases is lent again.
    LendsWhatIsSpent,
    /// Granted amounts are lent again.
    LendsWhatIsLent,
    /// A request gets everything that it wants, regardless of the amount left.
    GivesWhatIsWanted,
    /// A request gets what waiting requests need, regardless of the amount left.
    GivesWhatIsNeeded,
    /// A request gets everything that is left.
    GivesAll,
    /// Days are lent before they begin.
    LendsTomorrow,
    /// Leases that have not answered a recall count as having answered it.
    TakesSilenceForNo,
    /// Leases that were granted more since their answer count as empty.
    ForgetsWhatItGave,
    /// The granted amount of a closed lease stays taken.
    KeepsClosedLeases,
    /// No lease is recalled.
    RecallsNobody,
    /// A request after the close opens the lease again.
    OpensAgain,
    /// A client that comes back may use the reclaimed amount.
    ForgetsWhatItReclaimed,
    /// A lease that is still in use is reclaimed.
    ReclaimsTheLiving,
    /// The committed and unsettled requests of a crashed node are forgotten.
    ForgetsOpenRequests,
    /// A request is recorded after it was sent.
    RecordsTooLate,
    /// A restarted node does not close the leases of its earlier incarnation.
    LeavesOldLeases,
    /// A restarted node uses the number of its earlier incarnation.
    TakesAnOldNumber,
}

/// The standard rules, with at most one broken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RulesExcept(pub(crate) Option<BrokenRule>);

impl RulesExcept {
    pub(crate) fn is(self, broken: BrokenRule) -> bool {
        self.0 == Some(broken)
    }
}

impl LeaseRules for RulesExcept {
    fn accepts_grant(&self, answered: u64, latest: u64) -> bool {
        self.is(BrokenRule::BelievesOldGrants) || StandardRules.accepts_grant(answered, latest)
    }

    fn deadline(&self, sent_at: Mono, heard_at: Mono, ttl: Duration) -> Mono {
        match self.0 {
            Some(BrokenRule::TimeFromTheAnswer) => StandardRules.deadline(heard_at, heard_at, ttl),
            Some(BrokenRule::TimeTwiceAsLong) => StandardRules.deadline(sent_at, heard_at, ttl * 2),
            _ => StandardRules.deadline(sent_at, heard_at, ttl),
        }
    }

    fn lowers_first(&self) -> bool {
        !self.is(BrokenRule::HandsBackInWordsOnly)
    }

    fn may_close(&self, used: Amount, spent: Amount) -> bool {
        self.is(BrokenRule::ClosesTooEarly) || StandardRules.may_close(used, spent)
    }

    fn final_spent(&self, spent: Amount) -> Amount {
        if self.is(BrokenRule::ForgetsAUnitAtClose) { spent.saturating_sub(Amount(1)) } else { spent }
    }

    fn hands_back(&self) -> bool {
        !self.is(BrokenRule::KeepsWhatIsRecalled)
    }

    fn is_refused(&self, round: u64, drained: u64) -> bool {
        match self.0 {
            Some(BrokenRule::RefusedByOldNews) => drained != 0,
            Some(BrokenRule::RefusedAtOnce) => true,
            Some(BrokenRule::NeverRefused) => false,
            _ => StandardRules.is_refused(round, drained),
        }
    }

    fn is_fenced(&self, incarnation: u64, latest: u64) -> bool {
        !self.is(BrokenRule::HearsTheDead) && StandardRules.is_fenced(incarnation, latest)
    }

    fn is_newer(&self, seq: u64, last: u64) -> bool {
        match self.0 {
            Some(BrokenRule::TakesOldAsks) => seq != last,
            Some(BrokenRule::TakesAsksTwice) => seq >= last,
            _ => StandardRules.is_newer(seq, last),
        }
    }

    fn granted_before(&self, granted: Amount, request: &LeaseRequest, term: u64) -> Amount {
        match self.0 {
            Some(BrokenRule::NeverTakesBack) => granted.max(request.ceiling),
            Some(BrokenRule::TakesBackWhatIsHeld) => request.used,
            Some(BrokenRule::CountsLostGrants) => granted,
            Some(BrokenRule::ForgetsWhatItReclaimed) => request.ceiling,
            _ => StandardRules.granted_before(granted, request, term),
        }
    }

    fn spent_at_close(&self, known: Amount, reported: Amount) -> Amount {
        if self.is(BrokenRule::CountsClosesTwice) {
            known.saturating_add(reported)
        } else {
            StandardRules.spent_at_close(known, reported)
        }
    }

    fn may_reclaim(&self, past_deadline: bool) -> bool {
        self.is(BrokenRule::ReclaimsTheLiving) || StandardRules.may_reclaim(past_deadline)
    }

    fn left(&self, limit: Amount, granted: Amount, closed: Amount) -> Amount {
        match self.0 {
            Some(BrokenRule::LendsWhatIsSpent) => StandardRules.left(limit, granted, Amount::ZERO),
            Some(BrokenRule::LendsWhatIsLent) => StandardRules.left(limit, Amount::ZERO, closed),
            _ => StandardRules.left(limit, granted, closed),
        }
    }

    fn grant_amount(&self, request: &LeaseRequest, left: Amount, contention: Contention) -> Amount {
        match self.0 {
            Some(BrokenRule::GivesWhatIsWanted) => request.want,
            Some(BrokenRule::GivesWhatIsNeeded) => {
                StandardRules.grant_amount(request, left, contention).max(request.queued)
            }
            Some(BrokenRule::GivesAll) => {
                if request.want.is_zero() {
                    Amount::ZERO
                } else {
                    left
                }
            }
            _ => StandardRules.grant_amount(request, left, contention),
        }
    }

    fn is_current(&self, period: Period, at: Timestamp) -> bool {
        self.is(BrokenRule::LendsTomorrow) || StandardRules.is_current(period, at)
    }

    fn drained(&self, other: OtherLease) -> u64 {
        let drained = StandardRules.drained(other);
        match self.0 {
            Some(BrokenRule::TakesSilenceForNo) if other.granted <= other.used => u64::MAX,
            Some(BrokenRule::ForgetsWhatItGave) if !other.past_deadline => other.answered_recall,
            _ => drained,
        }
    }

    fn frees_closed(&self) -> bool {
        !self.is(BrokenRule::KeepsClosedLeases)
    }

    fn recalls(&self) -> bool {
        !self.is(BrokenRule::RecallsNobody)
    }

    fn reopens(&self) -> bool {
        self.is(BrokenRule::OpensAgain)
    }
}
