//! The ejection of a backend after failures in a row, as Envoy's outlier detection. All workers share it, and it survives a
//! reload of the configuration.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::snapshot::EjectionRules;
use tokio::time::Instant;

/// Maximum duration of an ejection.
const DURATION_MAX: Duration = Duration::from_secs(300);

/// The ejection of one backend.
#[derive(Debug, Default)]
pub(crate) struct Ejection {
    /// Whether the backend may be ejected; if not, nothing else is read.
    is_out: AtomicBool,
    /// The failures in a row.
    failures: AtomicU32,
    state: Mutex<EjectionState>,
}

#[derive(Debug, Default)]
struct EjectionState {
    /// The end of the last ejection, and its duration.
    last: Option<(Instant, Duration)>,
    /// The ejections that followed each other.
    in_a_row: u32,
    total: u64,
}

/// The state of a backend at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EjectionPhase {
    In,
    Out,
    /// An ejection of this duration ended at this time, which no caller has noted before.
    Back {
        since: Instant,
        ejected_for: Duration,
    },
}

impl Ejection {
    /// Returns whether the backend is ejected at `now`. One caller learns that it is back.
    pub(crate) fn phase(&self, now: Instant) -> EjectionPhase {
        if !self.is_out.load(Ordering::Relaxed) {
            return EjectionPhase::In;
        }
        let state = self.state();
        match state.last {
            Some((until, _)) if now < until => EjectionPhase::Out,
            Some((until, duration)) if self.is_out.swap(false, Ordering::Relaxed) => {
                // Failures of requests that were in flight when it was ejected say nothing about its return.
                self.failures.store(0, Ordering::Relaxed);
                EjectionPhase::Back { since: until, ejected_for: duration }
            }
            Some(_) | None => EjectionPhase::In,
        }
    }

    /// Notes the result of a request, and returns whether the backend is to be ejected.
    pub(crate) fn note(&self, rules: EjectionRules, has_failed: bool) -> bool {
        if has_failed {
            return self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= rules.failures;
        }
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        false
    }

    /// Ejects the backend, and returns for how long: the configured time, multiplied by the ejections that followed each
    /// other. One follows another if the backend was in use for less than the other's duration between them.
    pub(crate) fn eject(&self, rules: EjectionRules, now: Instant) -> Duration {
        let mut state = self.state();
        let follows = state.last.is_some_and(|(until, duration)| now < until + duration);
        state.in_a_row = if follows { state.in_a_row.saturating_add(1) } else { 1 };
        let duration = rules.time.saturating_mul(state.in_a_row).min(DURATION_MAX.max(rules.time));
        state.last = Some((now + duration, duration));
        state.total += 1;
        self.failures.store(0, Ordering::Relaxed);
        self.is_out.store(true, Ordering::Relaxed);
        duration
    }

    /// Returns the end of the last ejection.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.state().last.map(|(until, _)| until)
    }

    /// Returns how often the backend was ejected.
    pub(crate) fn total(&self) -> u64 {
        self.state().total
    }

    fn state(&self) -> MutexGuard<'_, EjectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether one more of `count` backends may be ejected while `out` are: at most the configured share, which counts
/// the next one too, and never the last.
pub(crate) fn may_eject(rules: EjectionRules, out: usize, count: usize) -> bool {
    let max = usize::try_from(rules.max).unwrap_or(usize::MAX);
    (out + 1) * 100 <= count.saturating_mul(max) && out + 1 < count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: EjectionRules = EjectionRules { failures: 3, time: Duration::from_secs(30), max: 50 };

    #[test]
    fn failures_in_a_row_eject_and_a_success_between_them_does_not() {
        let ejection = Ejection::default();
        for (has_failed, expected) in
            [(true, false), (true, false), (false, false), (true, false), (true, false), (true, true), (true, true)]
        {
            assert_eq!(ejection.note(RULES, has_failed), expected);
        }
    }

    #[test]
    fn each_ejection_in_a_row_is_longer() {
        let ejection = Ejection::default();
        let begin = Instant::now();
        let at = |s| begin + Duration::from_secs(s);
        assert_eq!(ejection.phase(at(0)), EjectionPhase::In);
        assert_eq!(ejection.eject(RULES, at(0)), Duration::from_secs(30));
        assert_eq!(ejection.phase(at(29)), EjectionPhase::Out);
        assert!(!ejection.note(RULES, true) && !ejection.note(RULES, true), "two were in flight");
        let ejected_for = Duration::from_secs(30);
        assert_eq!(ejection.phase(at(31)), EjectionPhase::Back { since: at(30), ejected_for });
        assert!(!ejection.note(RULES, true), "the count begins again");
        assert_eq!(ejection.phase(at(31)), EjectionPhase::In, "one caller learns it");
        assert_eq!(ejection.eject(RULES, at(40)), Duration::from_secs(60));
        // It was in use for longer than it was out.
        assert_eq!(ejection.eject(RULES, at(161)), Duration::from_secs(30));
        let mut now = 162;
        let mut last = Duration::ZERO;
        for _ in 0..20 {
            last = ejection.eject(RULES, at(now));
            now += last.as_secs() + 1;
        }
        assert_eq!((last, ejection.total()), (DURATION_MAX, 23));
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// A request ends; if the backend is then to be ejected and is not, it is.
        End(bool),
        Look,
        Wait(u64),
    }

    /// What an ejection should do, from the list of all earlier ones in seconds.
    #[derive(Debug, Default)]
    struct Model {
        past: Vec<(u64, u64)>,
        failures: u32,
        is_return_noted: bool,
    }

    impl Model {
        fn look(&mut self, now: u64) -> SeenPhase {
            match self.past.last() {
                Some((_, end)) if now < *end => SeenPhase::Out,
                Some((begin, end)) if !self.is_return_noted => {
                    (self.is_return_noted, self.failures) = (true, 0);
                    SeenPhase::Back(*end, end - begin)
                }
                Some(_) | None => SeenPhase::In,
            }
        }

        fn eject(&mut self, now: u64) -> u64 {
            let mut in_a_row = 1;
            let mut begin = now;
            for (earlier, end) in self.past.iter().rev() {
                if begin >= end + (end - earlier) {
                    break;
                }
                (in_a_row, begin) = (in_a_row + 1, *earlier);
            }
            let duration = (RULES.time.as_secs() * in_a_row).min(300);
            self.past.push((now, now + duration));
            (self.failures, self.is_return_noted) = (0, false);
            duration
        }
    }

    /// A phase in seconds since the begin.
    #[derive(Debug, PartialEq, Eq)]
    enum SeenPhase {
        In,
        Out,
        Back(u64, u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => prop::bool::weighted(0.8).prop_map(Step::End),
            2 => Just(Step::Look),
            2 => (1_u64..200).prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn an_ejection_agrees_with_its_model(steps in steps()) {
            let ejection = Ejection::default();
            let begin = Instant::now();
            let mut model = Model::default();
            let mut now = 0;
            let look = |now: u64| match ejection.phase(begin + Duration::from_secs(now)) {
                EjectionPhase::In => SeenPhase::In,
                EjectionPhase::Out => SeenPhase::Out,
                EjectionPhase::Back { since, ejected_for } => {
                    SeenPhase::Back((since - begin).as_secs(), ejected_for.as_secs())
                }
            };
            for step in steps {
                match step {
                    Step::Wait(seconds) => now += seconds,
                    Step::Look => prop_assert_eq!(look(now), model.look(now)),
                    Step::End(has_failed) => {
                        model.failures = if has_failed { model.failures + 1 } else { 0 };
                        let is_due = model.failures >= RULES.failures;
                        prop_assert_eq!(ejection.note(RULES, has_failed), is_due);
                        if is_due {
                            let phase = model.look(now);
                            prop_assert_eq!(&look(now), &phase);
                            if phase != SeenPhase::Out {
                                let duration = ejection.eject(RULES, begin + Duration::from_secs(now));
                                prop_assert_eq!(duration.as_secs(), model.eject(now));
                            }
                        }
                    }
                }
                prop_assert_eq!(ejection.total(), model.past.len() as u64);
            }
        }

        #[test]
        fn no_ejection_exceeds_the_share_or_takes_the_last(
            max_percent in 0_u32..=100, count in 1_usize..30, wanted in 0_usize..40,
        ) {
            let rules = EjectionRules { max: max_percent, ..RULES };
            let out = (0..wanted).fold(0, |out, _| out + usize::from(may_eject(rules, out, count)));
            prop_assert!(out < count && out as f64 <= count as f64 * f64::from(max_percent) / 100.0);
            let most = (count * max_percent as usize / 100).min(count - 1);
            prop_assert_eq!(out, most.min(wanted));
        }
    }

    #[test]
    fn the_share_counts_the_next_one_and_the_last_stays() {
        let with = |max_percent| EjectionRules { max: max_percent, ..RULES };
        for (max_percent, out, count, expected) in [
            (50, 0, 1, false),
            (50, 0, 2, true),
            (50, 1, 2, false),
            (50, 0, 3, true),
            (50, 1, 3, false),
            (50, 1, 4, true),
            (10, 0, 9, false),
            (10, 0, 10, true),
            (100, 1, 3, true),
            (100, 2, 3, false),
        ] {
            assert_eq!(may_eject(with(max_percent), out, count), expected, "{max_percent} {out} {count}");
        }
    }
}
