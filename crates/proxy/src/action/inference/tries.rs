//! The targets of one call in the order in which they are tried, and the pauses between attempts.

use std::sync::Arc;
use std::time::Duration;

use config::snapshot::FallbackRules;
use tokio::time::Instant;

use crate::forward::{fraction, pause};
use crate::upstream::targets::TargetState;

/// The attempts of one call.
pub(super) struct Tries<'a> {
    rules: &'a FallbackRules,
    states: &'a [Arc<TargetState>],
    /// The targets that may be tried, in their order.
    order: Vec<TriedTarget>,
    /// The position in `order` of the target that is tried next.
    position: usize,
    /// How often all targets were tried.
    rounds: u32,
    /// The number of attempts so far.
    pub(super) attempts: u32,
    /// The numbers of the targets whose turn it was while they were left out.
    left_out: Vec<usize>,
    /// The time after which no attempt begins.
    until: Instant,
}

/// A target of a call.
struct TriedTarget {
    /// The number of the target.
    target: usize,
    /// How often it was its turn.
    turns: u32,
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
    /// All targets are left out until this time or later.
    LeftOut(Instant),
}

impl<'a> Tries<'a> {
    /// Returns the attempts of a call that begins at `now` and must end at `total_at`.
    pub(super) fn new(
        rules: &'a FallbackRules,
        states: &'a [Arc<TargetState>],
        order: Vec<usize>,
        now: Instant,
        total_at: Instant,
    ) -> Self {
        let until = (now + rules.within).min(total_at);
        let order = order.into_iter().map(|target| TriedTarget { target, turns: 0 }).collect();
        Self { rules, states, order, position: 0, rounds: 0, attempts: 0, left_out: Vec::new(), until }
    }

    /// Whether there may be a further attempt after the current one.
    pub(super) fn may_continue(&self, now: Instant) -> bool {
        self.attempts <= self.rules.attempts && now < self.until
    }

    /// Returns the next attempt, which [`Tries::begin`] then begins. Each target is tried once before any is tried again.
    pub(super) fn next(&mut self, now: Instant) -> Result<NextTry, NoTry> {
        if self.attempts > self.rules.attempts || (self.attempts > 0 && now >= self.until) {
            return Err(NoTry::Spent);
        }
        while let Some(&TriedTarget { target, .. }) = self.order.get(self.position) {
            self.position += 1;
            if self.state(target).is_some_and(|state| state.cooldown.until(now).is_none()) {
                return Ok(NextTry { target, after: Duration::ZERO });
            }
            self.left_out.push(target);
        }
        self.again(now)
    }

    /// Removes and returns the numbers of the targets that were left out when it was their turn.
    pub(super) fn take_left_out(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.left_out)
    }

    /// Begins an attempt, and returns whether the target may be used: of the calls that waited for it, one may.
    pub(super) fn begin(&mut self, target: usize, now: Instant) -> bool {
        if self.state(target).is_none_or(|state| state.cooldown.admit(now).is_err()) {
            self.left_out.push(target);
            return false;
        }
        self.attempts += 1;
        self.skip(target);
        true
    }

    /// Tries the other targets before this one again.
    pub(super) fn skip(&mut self, target: usize) {
        if let Some(tried) = self.order.iter_mut().find(|tried| tried.target == target) {
            tried.turns += 1;
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
            let until = self.state(tried.target).and_then(|state| state.cooldown.until(now));
            (until.unwrap_or(now), tried.turns, tried.target)
        };
        // The earliest one; of several, the one that was tried least often, and then the first in the order.
        let sooner = |best: (Instant, u32, usize), next: (Instant, u32, usize)| {
            if (next.0, next.1) < (best.0, best.1) { next } else { best }
        };
        let Some((free_at, _, target)) = self.order.iter().map(free_at).reduce(sooner) else {
            return Err(NoTry::Spent);
        };
        let wait = free_at.saturating_duration_since(now);
        if self.attempts == 0 || wait > self.rules.backoff_max {
            return Err(if wait.is_zero() { NoTry::Spent } else { NoTry::LeftOut(free_at) });
        }
        let after = wait.max(pause(self.rules.backoff, self.rules.backoff_max, self.rounds, fraction()));
        if now + after >= self.until {
            return Err(NoTry::Spent);
        }
        self.rounds += 1;
        Ok(NextTry { target, after })
    }

    fn state(&self, target: usize) -> Option<&Arc<TargetState>> {
        self.states.get(target)
    }
}

#[cfg(test)]
mod tests {
    use config::snapshot::{CooldownRules, Model};
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

    fn states(count: usize) -> Vec<Arc<TargetState>> {
        let origin = Origin::parse("http://127.0.0.1:1").unwrap();
        let credential = Credential::None;
        let provider =
            Arc::new(Provider { name: "p".into(), kind: ai::ProviderKind::Mock, origin, credential, tls: None });
        let target = |n: usize| Target { provider: provider.clone(), model: n.to_string().into(), weight: 1 };
        let targets = (0..count).map(target).collect();
        let model = Model { name: "m".into(), credits: access::Credits(1), targets, fallback: None };
        Targets::default().of(&model)
    }

    #[test]
    fn each_target_is_tried_once_at_once_and_then_again_after_pauses() {
        let (rules, states, now) = (rules(4), states(3), Instant::now());
        let mut tries = Tries::new(&rules, &states, vec![1, 0, 2], now, now + Duration::from_secs(600));
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
        let (rules, states, now) = (rules(3), states(2), Instant::now());
        let new = || Tries::new(&rules, &states, vec![0, 1], now, now + Duration::from_secs(600));
        let refuses = |target: usize, seconds| {
            let cause = CooldownCause::Refused(Some(Duration::from_secs(seconds)));
            states[target].cooldown.failed(&rules.cooldown, cause, now, now);
        };
        refuses(0, 2);
        let mut tries = new();
        assert_eq!(tries.next(now), Ok(NextTry { target: 1, after: Duration::ZERO }));
        assert_eq!((tries.take_left_out(), tries.take_left_out()), (vec![0], Vec::new()));
        assert!(tries.begin(1, now));
        refuses(1, 20);
        assert_eq!(tries.next(now), Ok(NextTry { target: 0, after: Duration::from_secs(2) }));
        let mut all_out = new();
        assert_eq!(all_out.next(now), Err(NoTry::LeftOut(now + Duration::from_secs(2))));
        assert_eq!(all_out.attempts, 0);
        let (mut other, then) = (new(), now + Duration::from_secs(2));
        assert!(tries.begin(0, then) && !other.begin(0, then), "one call tries it, and decides about the others");
        assert_eq!((tries.take_left_out(), other.take_left_out()), (Vec::new(), vec![0]));
    }

    #[test]
    fn no_attempt_begins_after_the_time_of_the_rules_or_of_the_request() {
        let (rules, states, now) = (rules(3), states(2), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        for (total, at, expected) in [(600, 59, true), (600, 60, false), (5, 4, true), (5, 5, false)] {
            let mut tries = Tries::new(&rules, &states, vec![0, 1], now, after(total));
            assert!(tries.next(now).is_ok() && tries.begin(0, now));
            assert_eq!((tries.may_continue(after(at)), tries.next(after(at)).is_ok()), (expected, expected));
        }
    }

    #[test]
    fn an_excluded_target_is_not_tried_again() {
        let (rules, states, now) = (rules(3), states(3), Instant::now());
        let mut tries = Tries::new(&rules, &states, vec![0, 1, 2], now, now + Duration::from_secs(600));
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
