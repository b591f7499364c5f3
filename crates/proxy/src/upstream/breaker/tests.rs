use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;

const TIMEOUT_MS: u64 = 500;
const RULES: BreakerRules = BreakerRules {
    failure_threshold: 3,
    error_rate: None,
    timeout: Duration::from_millis(TIMEOUT_MS),
    half_open_requests: 2,
    success_threshold: 2,
};

/// A request that a breaker has admitted.
struct Admitted(Option<TrialPermit>);

struct Driven {
    breaker: Arc<Breaker>,
    rules: BreakerRules,
    start: Instant,
    now_ms: u64,
}

impl Driven {
    fn new(rules: BreakerRules) -> Self {
        Self { breaker: Arc::default(), rules, start: Instant::now(), now_ms: 0 }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.now_ms)
    }

    fn admit(&self) -> Result<Admitted, Duration> {
        self.breaker.admit(&self.rules, self.now()).map(Admitted)
    }

    fn end(&self, admitted: &Admitted, has_failed: bool) -> Option<BreakerChange> {
        self.breaker.note(&self.rules, has_failed, admitted.0.as_ref(), || self.now())
    }

    fn fail(&self, times: u32) {
        for _ in 0..times {
            let admitted = self.admit().unwrap_or_else(|wait| panic!("open for {wait:?}"));
            self.end(&admitted, true);
        }
    }
}

#[test]
fn failures_in_a_row_open_a_breaker_and_a_success_between_them_does_not() {
    let driven = Driven::new(RULES);
    driven.fail(2);
    driven.end(&driven.admit().unwrap(), false);
    driven.fail(2);
    assert!(!driven.breaker.is_open());
    let last = driven.admit().unwrap();
    assert_eq!(driven.end(&last, true), Some(BreakerChange::Opened(RULES.timeout)));
    assert_eq!(driven.admit().err(), Some(Duration::from_millis(500)));
    assert_eq!(driven.breaker.openings(), 1);
}

#[test]
fn a_half_open_breaker_closes_after_successes_and_opens_at_one_failure() {
    let mut driven = Driven::new(RULES);
    driven.fail(3);
    driven.now_ms = 499;
    assert_eq!(driven.admit().err(), Some(Duration::from_millis(1)));
    driven.now_ms = 500;
    let first = driven.admit().unwrap();
    let second = driven.admit().unwrap();
    assert_eq!(driven.admit().err(), Some(HALF_OPEN_WAIT), "two at once");
    assert_eq!(driven.end(&first, true), Some(BreakerChange::Opened(RULES.timeout)));
    // The other result is one of the earlier trial.
    driven.now_ms = 1_000;
    let third = driven.admit().unwrap();
    assert_eq!(driven.end(&second, false), None);
    assert_eq!(driven.end(&second, true), None);
    // A request that its client cancels returns its permit.
    drop(driven.admit().unwrap());
    assert_eq!(driven.end(&third, false), None);
    drop(third);
    let fourth = driven.admit().unwrap();
    assert_eq!(driven.end(&fourth, false), Some(BreakerChange::Closed(Duration::from_secs(1))));
    assert!(!driven.breaker.is_open());
    driven.fail(2);
    assert!(!driven.breaker.is_open(), "failures before the trial do not count");
}

#[test]
fn a_half_open_breaker_whose_requests_last_long_admits_one_more_per_timeout() {
    let mut driven = Driven::new(RULES);
    driven.fail(3);
    driven.now_ms = 500;
    let _long = [driven.admit().unwrap(), driven.admit().unwrap()];
    driven.now_ms = 999;
    assert_eq!(driven.admit().err(), Some(HALF_OPEN_WAIT));
    assert_eq!(driven.breaker.refuses(&RULES, driven.now()), Some(HALF_OPEN_WAIT));
    driven.now_ms = 1_000;
    assert_eq!(driven.breaker.refuses(&RULES, driven.now()), None);
    let third = driven.admit().unwrap();
    assert_eq!(driven.admit().err(), Some(HALF_OPEN_WAIT), "one per timeout");
    assert_eq!(driven.end(&third, false), None);
    drop(third);
    driven.now_ms = 1_500;
    let fourth = driven.admit().unwrap();
    assert_eq!(driven.end(&fourth, false), Some(BreakerChange::Closed(Duration::from_millis(1_500))));
}

#[test]
fn a_share_of_failures_opens_a_breaker_if_there_are_enough_results() {
    let rate = ErrorRate { percent: 50, min_requests: 10, window: Duration::from_secs(10) };
    let mut driven = Driven::new(BreakerRules { failure_threshold: 1_000, error_rate: Some(rate), ..RULES });
    let run = |driven: &mut Driven, results: &[bool], step_ms| {
        for has_failed in results {
            let admitted = driven.admit().unwrap();
            driven.end(&admitted, *has_failed);
            driven.now_ms += step_ms;
        }
        driven.breaker.is_open()
    };
    assert!(!run(&mut driven, &[true; 9], 1), "too few");
    // The failures are older than the window.
    driven.now_ms += 10_000;
    assert!(!run(&mut driven, &[false, false, false, false, false, false, true, true, true, true], 1));
    assert!(!run(&mut driven, &[true], 1), "5 of 11");
    assert!(run(&mut driven, &[true], 1), "6 of 12");
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Admit,
    /// The end of an admitted request: whether it failed, or nothing if its client cancelled it.
    End(prop::sample::Index, Option<bool>),
    Wait(u64),
}

/// What the breaker should do, without locks and atomics.
#[derive(Debug)]
struct Model {
    rules: BreakerRules,
    /// The end of the time without requests, while it is open.
    until: Option<u64>,
    /// The number of permits out, of successes, and the time of the last permit, while it is half-open.
    trial: Option<(u32, u32, u64)>,
    trials: u64,
    failures: u32,
    /// The times and results of requests since the breaker last closed, for the error rate.
    results: Vec<(u64, bool)>,
}

impl Model {
    fn admit(&mut self, now: u64) -> Option<Option<u64>> {
        if self.until.is_some_and(|until| now >= until) {
            (self.until, self.trial) = (None, Some((0, 0, now)));
            self.trials += 1;
        }
        match (self.until, &mut self.trial) {
            (Some(_), _) => None,
            (None, None) => Some(None),
            (None, Some((out, _, last))) if *out >= self.rules.half_open_requests && now < *last + TIMEOUT_MS => None,
            (None, Some((out, _, last))) => {
                (*out, *last) = (*out + 1, now);
                Some(Some(self.trials))
            }
        }
    }

    fn end(&mut self, admitted: Option<u64>, result: Option<bool>, now: u64) {
        let is_of_trial = self.trial.is_some() && admitted == Some(self.trials);
        let opens = match result {
            None => false,
            Some(has_failed) if is_of_trial => {
                if let Some((_, successes, _)) = &mut self.trial {
                    *successes += u32::from(!has_failed);
                }
                has_failed
            }
            Some(_) if self.until.is_some() || self.trial.is_some() || admitted.is_some() => false,
            Some(has_failed) => {
                self.failures = if has_failed { self.failures + 1 } else { 0 };
                self.failures == self.rules.failure_threshold || self.exceeds_rate(has_failed, now)
            }
        };
        if is_of_trial && let Some((out, _, _)) = self.trial.as_mut() {
            *out -= 1;
        }
        if opens {
            (self.until, self.trial, self.failures) = (Some(now + TIMEOUT_MS), None, 0);
        } else if self.trial.is_some_and(|(_, successes, _)| successes >= self.rules.success_threshold) {
            (self.trial, self.results) = (None, Vec::new());
        }
    }

    /// Returns whether the failures of the current tenth of a window and of the nine before it reach the rate.
    fn exceeds_rate(&mut self, has_failed: bool, now: u64) -> bool {
        let Some(rate) = self.rules.error_rate else { return false };
        self.results.push((now, has_failed));
        let begin = self.results[0].0;
        let tenth = |at: u64| (at - begin) * 10 / u64::try_from(rate.window.as_millis()).unwrap();
        let recent: Vec<bool> =
            self.results.iter().filter(|(at, _)| tenth(*at) + 9 >= tenth(now)).map(|(_, failed)| *failed).collect();
        let failed = recent.iter().filter(|failed| **failed).count();
        recent.len() >= rate.min_requests as usize && failed * 100 >= recent.len() * rate.percent as usize
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Admit),
        4 => (any::<prop::sample::Index>(), prop::option::weighted(0.8, prop::bool::weighted(0.7)))
            .prop_map(|(of, result)| Step::End(of, result)),
        1 => (1_u64..700).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_breaker_agrees_with_its_model(
        steps in steps(),
        failure_threshold in 1_u32..5,
        half_open_requests in 1_u32..4,
        success_threshold in 1_u32..4,
        rate in prop::option::of((1_u32..=100, 1_u32..20)),
    ) {
        let window = Duration::from_secs(2);
        let error_rate = rate.map(|(percent, min_requests)| ErrorRate { percent, min_requests, window });
        let rules = BreakerRules { failure_threshold, error_rate, half_open_requests, success_threshold, ..RULES };
        let mut driven = Driven::new(rules);
        let mut model = Model { rules, until: None, trial: None, trials: 0, failures: 0, results: Vec::new() };
        let mut requests: Vec<(Admitted, Option<u64>)> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(ms) => driven.now_ms += ms,
                Step::Admit => {
                    let admitted = driven.admit();
                    let expected = model.admit(driven.now_ms);
                    let permit = admitted.as_ref().ok().map(|admitted| admitted.0.as_ref().map(|permit| permit.trial));
                    prop_assert_eq!(permit, expected);
                    requests.extend(admitted.ok().zip(expected));
                }
                Step::End(of, result) if !requests.is_empty() => {
                    let (admitted, expected) = requests.swap_remove(of.index(requests.len()));
                    if let Some(has_failed) = result {
                        driven.end(&admitted, has_failed);
                    }
                    drop(admitted);
                    model.end(expected, result, driven.now_ms);
                }
                Step::End(..) => {}
            }
            let is_open = model.until.is_some() || model.trial.is_some();
            prop_assert_eq!(driven.breaker.is_open(), is_open, "{:?}", model);
        }
    }
}

#[test]
fn workers_together_hold_no_more_permits_than_a_half_open_breaker_has() {
    let driven = Driven::new(BreakerRules { success_threshold: 1_000_000, ..RULES });
    driven.fail(3);
    let held = AtomicU32::new(0);
    let most = AtomicU32::new(0);
    let admitted = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let later = driven.start + Duration::from_secs(1);
                for _ in 0..5_000 {
                    let Ok(Some(permit)) = driven.breaker.admit(&driven.rules, later) else { continue };
                    most.fetch_max(held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    admitted.fetch_add(1, Ordering::SeqCst);
                    driven.breaker.note(&driven.rules, false, Some(&permit), || later);
                    held.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert!((1..=2).contains(&most.into_inner()));
    assert!(admitted.into_inner() > 4);
}
