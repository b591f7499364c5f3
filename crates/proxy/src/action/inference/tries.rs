//! The targets of one call in the order in which they are tried, and the pauses between attempts.

use std::time::Duration;

use access::Tokens;
use config::snapshot::FallbackRules;
use meter::SkipReason;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::forward::{fraction, pause};
use crate::upstream::targets::limits::TargetPermit;
use crate::upstream::targets::{EntryTarget, TargetAdmission, TargetTrial, TargetUnavailable};

/// The number of targets that most models have at most. Lists of more are on the heap.
const INLINE: usize = 4;

/// The numbers of targets, in the order in which they are tried.
pub(super) type TargetOrder = SmallVec<[usize; INLINE]>;

/// The attempts of one call.
pub(super) struct CallAttempts<'a> {
    rules: &'a FallbackRules,
    states: &'a [EntryTarget],
    /// The targets that may be tried, in their order.
    order: SmallVec<[TriedTarget; INLINE]>,
    /// The position in `order` of the target that is tried next.
    position: usize,
    /// How often all targets were tried.
    rounds: u32,
    /// The number of attempts so far.
    pub(super) attempts: u32,
    /// The targets whose turn it was while no call could use them.
    left_out: Vec<SkippedTry>,
    /// The admission of the attempt that has begun, until it is sent.
    begun: Option<TargetAdmission>,
    /// The time after which no attempt begins.
    until: Instant,
}

/// A target of a call.
struct TriedTarget {
    /// The number of the target.
    target: usize,
    /// How often it was its turn.
    turns: u32,
    /// Whether its credential is the user's own.
    is_own: bool,
}

/// A target that a call does not try when it is its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SkippedTry {
    /// The number of the target.
    pub(super) target: usize,
    pub(super) reason: SkipReason,
}

/// The next attempt of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NextTry {
    /// The number of the target.
    pub(super) target: usize,
    /// The pause before it.
    pub(super) after: Duration,
}

/// Why there is no further attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoTry {
    /// The rules allow none.
    Spent,
    /// No target may be used. This one may be the soonest.
    LeftOut(TargetUnavailable),
}

impl<'a> CallAttempts<'a> {
    /// Returns the attempts of a call that begins at `now` and must end at `total_at`.
    pub(super) fn new(
        rules: &'a FallbackRules,
        states: &'a [EntryTarget],
        order: TargetOrder,
        now: Instant,
        total_at: Instant,
    ) -> Self {
        let until = (now + rules.within).min(total_at);
        let order = order.into_iter().map(|target| TriedTarget { target, turns: 0, is_own: false }).collect();
        let left_out = Vec::new();
        let begun = None;
        Self { rules, states, order, position: 0, rounds: 0, attempts: 0, left_out, begun, until }
    }

    /// Notes for which targets the credential of the call is the user's own.
    pub(super) fn with_own(mut self, is_own: impl Fn(usize) -> bool) -> Self {
        self.order.iter_mut().for_each(|tried| tried.is_own = is_own(tried.target));
        self
    }

    /// Whether there may be a further attempt after the current one.
    pub(super) fn may_continue(&self, now: Instant) -> bool {
        self.attempts <= self.rules.attempts && now < self.until
    }

    /// Returns the next attempt, which [`CallAttempts::begin`] then begins. Each target is tried once before any is tried again.
    pub(super) fn next(&mut self, now: Instant) -> Result<NextTry, NoTry> {
        if self.attempts > self.rules.attempts || (self.attempts > 0 && now >= self.until) {
            return Err(NoTry::Spent);
        }
        while let Some(&TriedTarget { target, .. }) = self.order.get(self.position) {
            self.position += 1;
            match self.unavailable(target, now) {
                None => return Ok(NextTry { target, after: Duration::ZERO }),
                Some(why) => self.leave_out(target, why.reason),
            }
        }
        self.again(now)
    }

    /// Removes and returns the targets that no call could use when it was their turn.
    pub(super) fn take_left_out(&mut self) -> Vec<SkippedTry> {
        std::mem::take(&mut self.left_out)
    }

    /// Notes that the attempt that has begun is sent now. Returns its permit if its target has limits, and the end of its trial
    /// if it tries a target that was left out.
    pub(super) fn sent(&mut self) -> (Option<TargetPermit>, Option<Instant>) {
        match self.begun.take() {
            Some(TargetAdmission { permit, trial }) => (permit.map(TargetPermit::sent), trial.map(TargetTrial::sent)),
            None => (None, None),
        }
    }

    /// Begins an attempt, and returns whether the target may be used: of the calls that waited for it, one may.
    pub(super) fn begin(&mut self, target: usize, now: Instant) -> bool {
        let Some(known) = self.states.get(target) else { return false };
        match known.admit(now, self.is_own(target)) {
            Ok(admission) => self.begun = Some(admission),
            Err(reason) => {
                self.leave_out(target, reason);
                return false;
            }
        }
        self.attempts += 1;
        self.skip(target);
        true
    }

    /// Whether limits of its target count the attempt that has begun.
    pub(super) fn is_counted(&self) -> bool {
        self.begun.as_ref().is_some_and(|begun| begun.permit.is_some())
    }

    /// Notes the most tokens that the attempt that has begun may use.
    pub(super) fn may_use(&mut self, tokens_max: Tokens) {
        if let Some(permit) = self.begun.as_mut().and_then(|begun| begun.permit.as_mut()) {
            permit.may_use(tokens_max);
        }
    }

    /// Tries the other targets before this one again.
    fn skip(&mut self, target: usize) {
        if let Some(tried) = self.order.iter_mut().find(|tried| tried.target == target) {
            tried.turns += 1;
        }
    }

    /// Tries the other targets before this one again, which takes no calls for `wait`. The call does not wait longer
    /// than its rules allow.
    pub(super) fn skip_for(&mut self, target: usize, wait: Duration) {
        if wait > self.rules.backoff_max {
            self.exclude(target);
        } else {
            self.skip(target);
        }
    }

    /// Leaves a target out of the further attempts of this call.
    pub(super) fn exclude(&mut self, target: usize) {
        let Some(place) = self.order.iter().position(|tried| tried.target == target) else { return };
        self.order.remove(place);
        if place < self.position {
            self.position -= 1;
        }
    }

    /// Returns the attempt at a target that was tried or left out before: the one that may be used soonest.
    fn again(&mut self, now: Instant) -> Result<NextTry, NoTry> {
        let free_at = |tried: &TriedTarget| {
            let why = self.unavailable(tried.target, now);
            (why.map_or(now, |why| why.until), tried.turns, tried.target, why)
        };
        // The earliest one; of several, the one that was tried least often, and then the first in the order.
        let Some((free_at, _, target, why)) = self
            .order
            .iter()
            .map(free_at)
            .reduce(|best, next| if (next.0, next.1) < (best.0, best.1) { next } else { best })
        else {
            return Err(NoTry::Spent);
        };
        let wait = free_at.saturating_duration_since(now);
        if self.attempts == 0 || wait > self.rules.backoff_max {
            return Err(why.map_or(NoTry::Spent, NoTry::LeftOut));
        }
        let after = wait.max(pause(self.rules.backoff, self.rules.backoff_max, self.rounds, fraction()));
        if now + after >= self.until {
            return Err(NoTry::Spent);
        }
        self.rounds += 1;
        Ok(NextTry { target, after })
    }

    /// Returns why no call may use the target with this number, if none may.
    fn unavailable(&self, target: usize, now: Instant) -> Option<TargetUnavailable> {
        self.states.get(target).and_then(|known| known.unavailable(now, self.is_own(target)))
    }

    /// Whether the credential for the target with this number is the user's own.
    fn is_own(&self, target: usize) -> bool {
        self.order.iter().any(|tried| tried.target == target && tried.is_own)
    }

    /// Notes that the call does not try the target with this number now.
    fn leave_out(&mut self, target: usize, reason: SkipReason) {
        if let Some(known) = self.states.get(target) {
            known.skipped(reason);
        }
        self.left_out.push(SkippedTry { target, reason });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use config::snapshot::{AccountObjects, CooldownRules, Model, PoolRules, PriceSource, TargetLimits};
    use config::snapshot::{Credential, FallbackCause, Origin, Provider, Target, TargetStrategy};

    use super::*;
    use crate::upstream::targets::Targets;
    use crate::upstream::targets::cooldown::CooldownCause;

    fn rules(attempts: u32) -> FallbackRules {
        FallbackRules {
            strategy: TargetStrategy::Fallback,
            attempts,
            within: Duration::from_secs(60),
            backoff: Duration::from_millis(250),
            backoff_max: Duration::from_secs(5),
            causes: FallbackCause::DEFAULT.into(),
            cooldown: CooldownRules { failures: 3, time: Duration::from_secs(30), max: Duration::from_secs(600) },
            sticky: None,
            first_content: None,
        }
    }

    fn states(count: usize) -> Vec<EntryTarget> {
        limited(count, None)
    }

    /// Returns targets, of which the first one has limits.
    fn limited(count: usize, limits: Option<TargetLimits>) -> Vec<EntryTarget> {
        let origin = Origin::parse("http://127.0.0.1:1").unwrap();
        let kind = ai::ProviderKind::Mock;
        let formats = Box::default();
        let credential = Credential::None;
        let provider = Arc::new(Provider {
            account_objects: AccountObjects::Own,
            price_source: PriceSource::Table,
            pool: PoolRules::OF_PROVIDER,
            discovery: None,
            name: "p".into(),
            kind,
            formats,
            origin,
            paths: ai::ProviderPaths::OfKind,
            credential,
            tls: None,
        });
        let target = |n: usize| {
            let limits = if n == 0 { limits } else { None };
            Target {
                provider: provider.clone(),
                model: n.to_string().into(),
                weight: 1,
                limits,
                prompt_cache: true,
                adapts: true,
            }
        };
        let targets = (0..count).map(target).collect();
        let model = Model { name: "m".into(), credits: access::Credits::whole(1), targets, fallback: None };
        Targets::default().for_model(&model)
    }

    #[test]
    fn each_target_is_tried_once_at_once_and_then_again_after_pauses() {
        let rules = rules(4);
        let states = states(3);
        let now = Instant::now();
        let mut tries =
            CallAttempts::new(&rules, &states, SmallVec::from_slice(&[1, 0, 2]), now, now + Duration::from_secs(600));
        let mut attempt = || {
            let next = tries.next(now).unwrap();
            assert!(tries.begin(next.target, now));
            next
        };
        let first: Vec<NextTry> = (0..3).map(|_| attempt()).collect();
        assert_eq!(first, [1, 0, 2].map(|target| NextTry { target, after: Duration::ZERO }));
        for (target, longest) in [(1, 250), (0, 500)] {
            let again = attempt();
            assert!(again.target == target && again.after < Duration::from_millis(longest), "{again:?}");
        }
        assert!(!tries.may_continue(now));
        assert_eq!(tries.next(now), Err(NoTry::Spent));
        assert_eq!(tries.attempts, 5);
    }

    #[test]
    fn targets_that_are_left_out_are_skipped_and_waited_for_only_if_that_is_short() {
        let rules = rules(3);
        let states = states(2);
        let now = Instant::now();
        let new =
            || CallAttempts::new(&rules, &states, SmallVec::from_slice(&[0, 1]), now, now + Duration::from_secs(600));
        let refuses = |target: usize, seconds| {
            let cause = CooldownCause::Refused(Some(Duration::from_secs(seconds)));
            states[target].state.cooldown.failed(&rules.cooldown, cause, now, now);
        };
        refuses(0, 2);
        let mut tries = new();
        assert_eq!(tries.next(now), Ok(NextTry { target: 1, after: Duration::ZERO }));
        let skipped = SkippedTry { target: 0, reason: SkipReason::Cooldown };
        assert_eq!((tries.take_left_out(), tries.take_left_out()), (vec![skipped], Vec::new()));
        assert!(tries.begin(1, now));
        refuses(1, 20);
        assert_eq!(tries.next(now), Ok(NextTry { target: 0, after: Duration::from_secs(2) }));
        let mut all_out = new();
        let soonest = TargetUnavailable { reason: SkipReason::Cooldown, until: now + Duration::from_secs(2) };
        assert_eq!(all_out.next(now), Err(NoTry::LeftOut(soonest)));
        assert_eq!(all_out.attempts, 0);
        let mut other = new();
        let then = now + Duration::from_secs(2);
        assert!(tries.begin(0, then) && !other.begin(0, then), "one call tries it, and decides about the others");
        assert_eq!((tries.take_left_out(), other.take_left_out()), (Vec::new(), vec![skipped]));
    }

    #[test]
    fn a_target_at_its_limit_is_skipped_and_the_only_one_is_not_called() {
        let limits = TargetLimits { concurrent: Some(1), ..TargetLimits::default() };
        let rules = rules(3);
        let states = limited(2, Some(limits));
        let now = Instant::now();
        let new =
            |order: &[usize]| CallAttempts::new(&rules, &states, order.into(), now, now + Duration::from_secs(600));
        let mut first = new(&[0, 1]);
        assert!(first.next(now).is_ok() && first.begin(0, now));
        let (permit, _) = first.sent();
        assert!(permit.is_some() && first.sent().0.is_none());
        let mut second = new(&[0, 1]);
        assert_eq!(second.next(now), Ok(NextTry { target: 1, after: Duration::ZERO }));
        let skipped = SkippedTry { target: 0, reason: SkipReason::Limit };
        assert_eq!(second.take_left_out(), [skipped]);
        assert!(second.begin(1, now) && second.sent().0.is_none(), "the other one has no limits");
        let soonest = TargetUnavailable { reason: SkipReason::Limit, until: now + Duration::from_secs(1) };
        assert_eq!(new(&[0]).next(now), Err(NoTry::LeftOut(soonest)));
        assert!(!new(&[0]).begin(0, now));
        drop(permit);
        assert_eq!(new(&[0]).next(now), Ok(NextTry { target: 0, after: Duration::ZERO }));
    }

    #[test]
    fn the_state_of_the_operators_account_refuses_no_call_with_an_own_credential() {
        let limits = TargetLimits { concurrent: Some(1), ..TargetLimits::default() };
        let rules = rules(1);
        let states = limited(1, Some(limits));
        let now = Instant::now();
        let new =
            || CallAttempts::new(&rules, &states, SmallVec::from_slice(&[0]), now, now + Duration::from_secs(600));
        assert!(new().begin(0, now));
        let mut busy = new();
        assert!(busy.begin(0, now));
        assert!(matches!(new().next(now), Err(NoTry::LeftOut(_))));
        let mut own = new().with_own(|target| target == 0);
        assert!(own.next(now).is_ok() && own.begin(0, now) && own.sent().0.is_none(), "its limits are the operator's");
        let cause = CooldownCause::Refused(None);
        states[0].state.cooldown.failed(&rules.cooldown, cause, now, now);
        let mut own = new().with_own(|target| target == 0);
        assert!(own.next(now).is_ok() && own.begin(0, now) && matches!(own.sent(), (None, None)), "it is no trial");
    }

    #[test]
    fn no_attempt_begins_after_the_time_of_the_rules_or_of_the_request() {
        let rules = rules(3);
        let states = states(2);
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        for (total, at, expected) in [(600, 59, true), (600, 60, false), (5, 4, true), (5, 5, false)] {
            let mut tries = CallAttempts::new(&rules, &states, SmallVec::from_slice(&[0, 1]), now, after(total));
            assert!(tries.next(now).is_ok() && tries.begin(0, now));
            assert_eq!((tries.may_continue(after(at)), tries.next(after(at)).is_ok()), (expected, expected));
        }
    }

    #[test]
    fn an_excluded_target_is_not_tried_again() {
        let rules = rules(3);
        let states = states(3);
        let now = Instant::now();
        let mut tries =
            CallAttempts::new(&rules, &states, SmallVec::from_slice(&[0, 1, 2]), now, now + Duration::from_secs(600));
        let mut order = Vec::new();
        for _ in 0..4 {
            let next = tries.next(now).unwrap();
            if next.target == 1 {
                tries.exclude(1);
                continue;
            }
            assert!(tries.begin(next.target, now));
            order.push(next.target);
        }
        assert_eq!((order, tries.attempts), (vec![0, 2, 0], 3));
    }
}
