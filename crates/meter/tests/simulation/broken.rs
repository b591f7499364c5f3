//! The rules, each broken in turn: a simulation that would not see it shows nothing.

use std::time::Duration;

use access::{Mono, Timestamp};
use meter::budget::Period;
use meter::lease::Ask;
use meter::lease::rules::{Other, Rules, Sound};

macro_rules! mutants {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// How a rule is broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Broken { $($(#[doc = $doc])* $name,)* }

        impl Broken {
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
pub(crate) struct But(pub(crate) Option<Broken>);

impl But {
    pub(crate) fn is(self, broken: Broken) -> bool {
        self.0 == Some(broken)
    }
}

impl Rules for But {
    fn believes(&self, answered: u64, latest: u64) -> bool {
        self.is(Broken::BelievesOldGrants) || Sound.believes(answered, latest)
    }

    fn deadline(&self, sent_at: Mono, heard_at: Mono, ttl: Duration) -> Mono {
        match self.0 {
            Some(Broken::TimeFromTheAnswer) => Sound.deadline(heard_at, heard_at, ttl),
            Some(Broken::TimeTwiceAsLong) => Sound.deadline(sent_at, heard_at, ttl * 2),
            _ => Sound.deadline(sent_at, heard_at, ttl),
        }
    }

    fn lowers_first(&self) -> bool {
        !self.is(Broken::HandsBackInWordsOnly)
    }

    fn may_close(&self, used: u64, spent: u64) -> bool {
        self.is(Broken::ClosesTooEarly) || Sound.may_close(used, spent)
    }

    fn final_spent(&self, spent: u64) -> u64 {
        if self.is(Broken::ForgetsAUnitAtClose) { spent.saturating_sub(1) } else { spent }
    }

    fn hands_back(&self) -> bool {
        !self.is(Broken::KeepsWhatIsRecalled)
    }

    fn is_refused(&self, round: u64, drained: u64) -> bool {
        match self.0 {
            Some(Broken::RefusedByOldNews) => drained != 0,
            Some(Broken::RefusedAtOnce) => true,
            Some(Broken::NeverRefused) => false,
            _ => Sound.is_refused(round, drained),
        }
    }

    fn is_fenced(&self, incarnation: u64, latest: u64) -> bool {
        !self.is(Broken::HearsTheDead) && Sound.is_fenced(incarnation, latest)
    }

    fn is_news(&self, seq: u64, last: u64) -> bool {
        match self.0 {
            Some(Broken::TakesOldAsks) => seq != last,
            Some(Broken::TakesAsksTwice) => seq >= last,
            _ => Sound.is_news(seq, last),
        }
    }

    fn kept(&self, granted: u64, ask: &Ask, term: u64) -> u64 {
        match self.0 {
            Some(Broken::NeverTakesBack) => granted.max(ask.ceiling),
            Some(Broken::TakesBackWhatIsHeld) => ask.used,
            Some(Broken::CountsLostGrants) => granted,
            Some(Broken::ForgetsWhatItReclaimed) => ask.ceiling,
            _ => Sound.kept(granted, ask, term),
        }
    }

    fn closes(&self, known: u64, said: u64) -> u64 {
        if self.is(Broken::CountsClosesTwice) { known + said } else { Sound.closes(known, said) }
    }

    fn may_reclaim(&self, past_deadline: bool) -> bool {
        self.is(Broken::ReclaimsTheLiving) || Sound.may_reclaim(past_deadline)
    }

    fn left(&self, limit: u64, granted: u64, closed: u64) -> u64 {
        match self.0 {
            Some(Broken::LendsWhatIsSpent) => Sound.left(limit, granted, 0),
            Some(Broken::LendsWhatIsLent) => Sound.left(limit, 0, closed),
            _ => Sound.left(limit, granted, closed),
        }
    }

    fn more(&self, ask: &Ask, left: u64, around: (u64, bool)) -> u64 {
        match self.0 {
            Some(Broken::GivesWhatIsWanted) => ask.want,
            Some(Broken::GivesWhatIsNeeded) => Sound.more(ask, left, around).max(ask.queued),
            Some(Broken::GivesAll) => {
                if ask.want > 0 {
                    left
                } else {
                    0
                }
            }
            _ => Sound.more(ask, left, around),
        }
    }

    fn is_current(&self, period: Period, at: Timestamp) -> bool {
        self.is(Broken::LendsTomorrow) || Sound.is_current(period, at)
    }

    fn drained(&self, other: Other) -> u64 {
        let drained = Sound.drained(other);
        match self.0 {
            Some(Broken::TakesSilenceForNo) if other.granted <= other.used => u64::MAX,
            Some(Broken::ForgetsWhatItGave) if !other.past_deadline => other.ceded,
            _ => drained,
        }
    }

    fn frees_closed(&self) -> bool {
        !self.is(Broken::KeepsClosedLeases)
    }

    fn recalls(&self) -> bool {
        !self.is(Broken::RecallsNobody)
    }

    fn reopens(&self) -> bool {
        self.is(Broken::OpensAgain)
    }
}
