//! The rules, each broken in turn: a simulation that would not see it shows nothing.

use std::time::Duration;

use access::{Mono, Timestamp};
use meter::budget::Period;
use meter::lease::LeaseRequest;
use meter::lease::rules::{LeaseRules, OtherLease, StandardRules};

macro_rules! mutants {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// How a rule is broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum BrokenRule { $($(#[doc = $doc])* $name,)* }

        impl BrokenRule {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

mutants! {
    /// The holder believes an answer to an earlier ask.
    BelievesOldGrants,
    /// The holder's time runs from the answer.
    TimeFromTheAnswer,
    /// The holder's time runs twice as long as it was told.
    TimeTwiceAsLong,
    /// The holder says what it hands back, and goes on using it.
    HandsBackInWordsOnly,
    /// The holder closes a lease while something of it is reserved.
    ClosesTooEarly,
    /// The holder closes without the last unit that it spent.
    ForgetsAUnitAtClose,
    /// The holder answers recalls and hands nothing back.
    KeepsWhatIsRecalled,
    /// A request is refused by what was known before it came.
    RefusedByOldNews,
    /// A request is refused as soon as nothing is left to lend.
    RefusedAtOnce,
    /// A request is never refused for good.
    NeverRefused,
    /// The lender hears an incarnation that another has followed.
    HearsTheDead,
    /// The lender takes an ask that a later one has overtaken.
    TakesOldAsks,
    /// The lender takes a doubled ask twice.
    TakesAsksTwice,
    /// What is handed back stays granted.
    NeverTakesBack,
    /// What a holder does not use counts as handed back.
    TakesBackWhatIsHeld,
    /// What was granted counts on, however little the holder knows of it.
    CountsLostGrants,
    /// A close that comes twice is counted twice.
    CountsClosesTwice,
    /// What closed leases have spent is lent again.
    LendsWhatIsSpent,
    /// What is granted is lent again.
    LendsWhatIsLent,
    /// One gets all that it wants, whatever is left.
    GivesWhatIsWanted,
    /// One gets what a request needs, whatever is left.
    GivesWhatIsNeeded,
    /// One gets all that is left.
    GivesAll,
    /// Days are lent before they begin.
    LendsTomorrow,
    /// Others count as asked who have not answered.
    TakesSilenceForNo,
    /// Others count as empty who got something since.
    ForgetsWhatItGave,
    /// What a closed lease was granted stays taken.
    KeepsClosedLeases,
    /// Nobody is recalled.
    RecallsNobody,
    /// An ask that comes after the close opens the lease again.
    OpensAgain,
    /// Whoever comes back may use what was reclaimed.
    ForgetsWhatItReclaimed,
    /// What a holder still uses is reclaimed.
    ReclaimsTheLiving,
    /// A crashed node's requests that were sent and not settled are forgotten.
    ForgetsOpenRequests,
    /// A request is recorded after it was sent.
    RecordsTooLate,
    /// A node that starts again leaves the leases of its earlier life.
    LeavesOldLeases,
    /// A node that starts again takes its earlier life's number.
    TakesAnOldNumber,
}

/// The rules as they are, but for one.
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

    fn may_close(&self, used: u64, spent: u64) -> bool {
        self.is(BrokenRule::ClosesTooEarly) || StandardRules.may_close(used, spent)
    }

    fn final_spent(&self, spent: u64) -> u64 {
        if self.is(BrokenRule::ForgetsAUnitAtClose) { spent.saturating_sub(1) } else { spent }
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

    fn granted_before(&self, granted: u64, request: &LeaseRequest, term: u64) -> u64 {
        match self.0 {
            Some(BrokenRule::NeverTakesBack) => granted.max(request.ceiling),
            Some(BrokenRule::TakesBackWhatIsHeld) => request.used,
            Some(BrokenRule::CountsLostGrants) => granted,
            Some(BrokenRule::ForgetsWhatItReclaimed) => request.ceiling,
            _ => StandardRules.granted_before(granted, request, term),
        }
    }

    fn spent_at_close(&self, known: u64, said: u64) -> u64 {
        if self.is(BrokenRule::CountsClosesTwice) { known + said } else { StandardRules.spent_at_close(known, said) }
    }

    fn may_reclaim(&self, past_deadline: bool) -> bool {
        self.is(BrokenRule::ReclaimsTheLiving) || StandardRules.may_reclaim(past_deadline)
    }

    fn left(&self, limit: u64, granted: u64, closed: u64) -> u64 {
        match self.0 {
            Some(BrokenRule::LendsWhatIsSpent) => StandardRules.left(limit, granted, 0),
            Some(BrokenRule::LendsWhatIsLent) => StandardRules.left(limit, 0, closed),
            _ => StandardRules.left(limit, granted, closed),
        }
    }

    fn grant_amount(&self, request: &LeaseRequest, left: u64, around: (u64, bool)) -> u64 {
        match self.0 {
            Some(BrokenRule::GivesWhatIsWanted) => request.want,
            Some(BrokenRule::GivesWhatIsNeeded) => {
                StandardRules.grant_amount(request, left, around).max(request.queued)
            }
            Some(BrokenRule::GivesAll) => {
                if request.want > 0 {
                    left
                } else {
                    0
                }
            }
            _ => StandardRules.grant_amount(request, left, around),
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
