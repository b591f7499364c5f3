//! The time for which a target is left out after failures.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::snapshot::CooldownRules;
use tokio::time::Instant;

/// The time in which a call that tries the target must end, before another one may.
const TRIAL: Duration = Duration::from_secs(10);

/// Whether a target is left out.
#[derive(Debug, Default)]
pub(crate) struct Cooldown {
    /// Whether it was left out and no call has succeeded since; if not, nothing else is read.
    is_out: AtomicBool,
    /// The failures in a row.
    failures: AtomicU32,
    state: Mutex<CooldownState>,
}

#[derive(Debug, Default)]
struct CooldownState {
    until: Option<Instant>,
    /// When the failure was noted that began the time. Calls that began earlier say nothing about it.
    since: Option<Instant>,
    in_a_row: u32,
}

impl CooldownState {
    /// Whether a call that began then is one of those that try the target after the time.
    fn is_trial(&self, begun: Instant) -> bool {
        self.since.is_none_or(|since| begun >= since)
    }
}

/// What a failure says about the time for which a target is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CooldownCause {
    /// One of several failures in a row.
    Failure,
    /// The provider takes no calls for this time, or for the configured one.
    Refused(Option<Duration>),
    /// The provider takes no calls until its account is changed.
    Exhausted,
}

impl Cooldown {
    /// Returns whether a call may use the target at `now`. After the time, one call may, and decides about the others:
    /// the end of its trial is returned.
    ///
    /// # Errors
    /// The time until which the target is left out.
    pub(crate) fn admit(&self, now: Instant) -> Result<Option<Instant>, Instant> {
        if !self.is_out.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut state = self.state();
        match state.until {
            Some(until) if now < until => Err(until),
            Some(_) => {
                state.until = Some(now + TRIAL);
                Ok(state.until)
            }
            None => Ok(None),
        }
    }

    /// Lets another call try the target: the one whose trial ends at `end` was not sent.
    pub(crate) fn return_trial(&self, end: Instant) {
        let mut state = self.state();
        if state.until == Some(end) {
            state.until = end.checked_sub(TRIAL);
        }
    }

    /// Whether the target was left out and no call has succeeded since.
    pub(crate) fn is_out(&self) -> bool {
        self.is_out.load(Ordering::Relaxed)
    }

    /// Returns the time until which the target is left out, if it is at `now`.
    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        if !self.is_out.load(Ordering::Relaxed) {
            return None;
        }
        self.state().until.filter(|until| now < *until)
    }

    /// Notes a call that began at `begun` and that the target has served.
    pub(crate) fn succeeded(&self, begun: Instant) {
        if self.is_out.load(Ordering::Relaxed) {
            let mut state = self.state();
            if !state.is_trial(begun) {
                return;
            }
            *state = CooldownState::default();
            self.is_out.store(false, Ordering::Relaxed);
        }
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Notes the failure of a call that began at `begun`. Returns for how long the target is left out, if it is from now on.
    pub(crate) fn failed(
        &self,
        rules: &CooldownRules,
        cause: CooldownCause,
        begun: Instant,
        now: Instant,
    ) -> Option<Duration> {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let was_out = self.is_out.load(Ordering::Relaxed);
        if cause == CooldownCause::Failure && failures < rules.failures && !was_out {
            return None;
        }
        let mut state = self.state();
        let is_trial = state.is_trial(begun);
        let times = if is_trial { state.in_a_row.saturating_add(1) } else { 1 };
        let duration = match cause {
            CooldownCause::Refused(Some(asked)) => asked,
            CooldownCause::Exhausted => rules.max,
            // Of several calls in flight, one says that the target fails.
            CooldownCause::Failure | CooldownCause::Refused(None) if !is_trial => return None,
            CooldownCause::Failure | CooldownCause::Refused(None) => rules.time.saturating_mul(times),
        };
        let duration = duration.min(rules.max);
        let until = now + duration;
        if !is_trial && state.until.is_some_and(|known| known >= until) {
            return None;
        }
        *state = CooldownState { until: Some(until), since: Some(now), in_a_row: state.in_a_row.max(times) };
        self.is_out.store(true, Ordering::Relaxed);
        Some(duration)
    }

    fn state(&self) -> MutexGuard<'_, CooldownState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: CooldownRules =
        CooldownRules { failures: 3, time: Duration::from_secs(30), max: Duration::from_secs(600) };

    #[test]
    fn failures_in_a_row_leave_a_target_out_until_one_call_has_succeeded() {
        let cooldown = Cooldown::default();
        let begin = Instant::now();
        let at = |s| begin + Duration::from_secs(s);
        let fails =
            |s| cooldown.failed(&RULES, CooldownCause::Failure, at(s), at(s)).map(|duration| duration.as_secs());
        assert_eq!((fails(0), fails(0)), (None, None));
        cooldown.succeeded(at(0));
        assert_eq!((fails(1), fails(1), fails(1)), (None, None, Some(30)));
        assert_eq!(cooldown.admit(at(30)), Err(at(31)));
        assert_eq!(cooldown.admit(at(31)), Ok(Some(at(41))), "one call tries it");
        assert_eq!(cooldown.admit(at(31)), Err(at(41)), "the others wait for its result");
        assert_eq!(fails(32), Some(60), "longer each time");
        assert_eq!(cooldown.admit(at(91)), Err(at(92)));
        assert_eq!(cooldown.admit(at(92)), Ok(Some(at(102))));
        cooldown.succeeded(at(92));
        assert_eq!((cooldown.admit(at(92)), cooldown.until(at(92))), (Ok(None), None));
        assert_eq!(fails(93), None, "the failures begin anew");
    }

    #[test]
    fn a_target_that_fails_for_an_hour_is_tried_30_seconds_after_it_recovers_by_default() {
        let rules = CooldownRules { failures: 3, time: Duration::from_secs(30), max: Duration::from_secs(30) };
        let cooldown = Cooldown::default();
        let begin = Instant::now();
        let causes = [CooldownCause::Failure, CooldownCause::Refused(None), CooldownCause::Exhausted];
        let mut now = begin;
        let mut trials = 0;
        let refused = CooldownCause::Refused(Some(Duration::from_secs(3_600)));
        assert_eq!(cooldown.failed(&rules, refused, now, now), Some(Duration::from_secs(30)));
        while now < begin + Duration::from_secs(3_600) {
            now += Duration::from_secs(30);
            assert!(cooldown.admit(now).unwrap().is_some(), "{trials}");
            assert!(cooldown.admit(now).is_err(), "other calls do not wait for the trial");
            assert_eq!(cooldown.failed(&rules, causes[trials % 3], now, now), Some(Duration::from_secs(30)));
            trials += 1;
        }
        assert_eq!(trials, 120);
    }

    #[test]
    fn a_trial_that_is_not_sent_is_returned_unless_a_failure_has_ended_it() {
        let cooldown = Cooldown::default();
        let begin = Instant::now();
        let at = |s| begin + Duration::from_secs(s);
        cooldown.failed(&RULES, CooldownCause::Refused(None), begin, begin);
        let end = cooldown.admit(at(30)).unwrap().unwrap();
        assert_eq!(cooldown.admit(at(31)), Err(end));
        cooldown.return_trial(end);
        assert_eq!(cooldown.admit(at(31)), Ok(Some(at(41))), "the next call tries it");
        cooldown.return_trial(end);
        assert_eq!(cooldown.admit(at(32)), Err(at(41)), "it is not the trial that was returned");
        cooldown.failed(&RULES, CooldownCause::Failure, at(31), at(33));
        cooldown.return_trial(at(41));
        assert_eq!(cooldown.admit(at(92)), Err(at(93)));
    }

    #[test]
    fn a_provider_that_asks_for_a_time_gets_it_up_to_the_maximum() {
        let now = Instant::now();
        for (cause, seconds) in [
            (CooldownCause::Refused(Some(Duration::from_secs(2))), 2),
            (CooldownCause::Refused(Some(Duration::from_secs(86_400))), 600),
            (CooldownCause::Refused(None), 30),
            (CooldownCause::Exhausted, 600),
        ] {
            let cooldown = Cooldown::default();
            assert_eq!(cooldown.failed(&RULES, cause, now, now), Some(Duration::from_secs(seconds)), "{cause:?}");
            assert_eq!(cooldown.until(now), Some(now + Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn calls_that_began_before_a_target_was_left_out_do_not_change_its_time_except_to_extend_it() {
        let cooldown = Cooldown::default();
        let begun = Instant::now();
        let at = |s| begun + Duration::from_secs(s);
        let refuses = |cause| cooldown.failed(&RULES, cause, begun, at(1)).map(|duration| duration.as_secs());
        assert_eq!(refuses(CooldownCause::Refused(None)), Some(30));
        // 20 calls in flight are refused at once.
        assert!((0..20).all(|_| refuses(CooldownCause::Refused(None)).is_none()));
        assert_eq!((refuses(CooldownCause::Failure), cooldown.until(at(1))), (None, Some(at(31))));
        assert_eq!(refuses(CooldownCause::Refused(Some(Duration::from_secs(1)))), None, "it shortens nothing");
        cooldown.succeeded(begun);
        assert_eq!(cooldown.until(at(1)), Some(at(31)));
        assert_eq!((refuses(CooldownCause::Exhausted), cooldown.until(at(1))), (Some(600), Some(at(601))));
        assert_eq!(cooldown.admit(at(601)), Ok(Some(at(611))));
        let trial = cooldown.failed(&RULES, CooldownCause::Failure, at(601), at(602));
        assert_eq!(trial, Some(Duration::from_secs(60)), "it is the second time in a row");
    }
}
