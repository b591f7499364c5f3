use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::sharing::{LimitSharing, SharedLimit, SharedTake, SharingMessage, SharingState};
use super::*;
use crate::window::WindowLog;

const MILLI: u64 = 1_000_000;

fn some(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn sliding(limit: u32, millis: u64) -> LimitTerms {
    LimitTerms::Requests(RequestTerms::SlidingWindow(Window::new(some(limit), Duration::from_millis(millis))))
}

fn bucket(limit: u32, millis: u64, burst: u32) -> LimitTerms {
    let rate = Rate::new(some(limit), Duration::from_millis(millis)).with_burst(some(burst));
    LimitTerms::Requests(RequestTerms::TokenBucket(rate))
}

fn admitted(counters: &LimitCounters, key: &[u8], terms: LimitTerms, now: Mono) -> u32 {
    u32::try_from((0..10_000).take_while(|_| counters.take(key, terms, now).is_ok()).count()).unwrap()
}

#[test]
fn each_key_has_its_own_limit() {
    let counters = LimitCounters::default();
    for (terms, expected) in
        [(sliding(3, 1_000), 3), (bucket(100, 60_000, 20), 20), (LimitTerms::Concurrent(some(2)), 2)]
    {
        let counters = LimitCounters::default();
        for key in [&b""[..], b"a", b"b", b"a\0"] {
            assert_eq!(admitted(&counters, key, terms, Mono(5 * MILLI)), expected, "{terms:?} {key:?}");
        }
    }
    let refused = || counters.take(b"a", bucket(100, 60_000, 20), Mono(1)).unwrap_err();
    admitted(&counters, b"a", bucket(100, 60_000, 20), Mono(1));
    assert_eq!((refused().limit, refused().retry_after), (100, Duration::from_millis(600)));
    assert_eq!(refused().reset, Duration::from_secs(12));
}

#[test]
fn a_burst_above_the_limit_passes_once_and_refills_with_the_limit() {
    let counters = LimitCounters::default();
    let terms = bucket(10, 1_000, 50);
    assert_eq!(admitted(&counters, b"a", terms, Mono(1)), 50);
    assert_eq!(admitted(&counters, b"a", terms, Mono(1 + 1_000 * MILLI)), 10);
    assert_eq!(admitted(&counters, b"a", terms, Mono(1 + 1_000_000 * MILLI)), 50);
}

#[test]
fn a_request_that_is_given_back_was_never_counted() {
    for terms in [sliding(1, 1_000), bucket(1, 1_000, 1), LimitTerms::Concurrent(some(1))] {
        let counters = LimitCounters::default();
        for n in 0..5 {
            let counted = counters.take(b"a", terms, Mono(n * MILLI)).unwrap();
            assert_eq!((counted.level.limit, counted.level.remaining), (1, 0), "{terms:?}");
            assert!(counters.take(b"a", terms, Mono(n * MILLI)).is_err(), "{terms:?}");
            counters.give_back(counted, terms);
        }
    }
}

#[test]
fn a_request_that_is_given_back_later_leaves_the_window() {
    let counters = LimitCounters::default();
    let terms = sliding(2, 1_000);
    let early = counters.take(b"a", terms, Mono(999 * MILLI)).unwrap();
    counters.take(b"a", terms, Mono(1_000 * MILLI)).unwrap();
    assert!(counters.take(b"a", terms, Mono(1_000 * MILLI)).is_err());
    counters.give_back(early, terms);
    assert!(counters.take(b"a", terms, Mono(1_000 * MILLI)).is_ok());
}

#[test]
fn a_request_that_is_given_back_after_it_has_left_the_window_changes_nothing() {
    let counters = LimitCounters::default();
    let terms = sliding(2, 1_000);
    let late = Mono(1_999 * MILLI);
    let early = counters.take(b"a", terms, Mono(999 * MILLI)).unwrap();
    assert_eq!(admitted(&counters, b"a", terms, late), 2);
    counters.give_back(early, terms);
    assert!(counters.take(b"a", terms, late).is_err());
}

#[test]
fn a_request_in_flight_that_is_given_back_twice_admits_no_further_one() {
    let counters = LimitCounters::default();
    let terms = LimitTerms::Concurrent(some(1));
    let counted = counters.take(b"a", terms, Mono(0)).unwrap();
    counters.give_back(counted, terms);
    counters.give_back(counted, terms);
    assert_eq!(admitted(&counters, b"a", terms, Mono(0)), 1);
}

#[test]
fn requests_in_flight_are_not_divided_among_nodes() {
    let concurrent = LimitTerms::Concurrent(some(6));
    assert_eq!(concurrent.share(some(3)), concurrent);
    assert_eq!(sliding(6, 1_000).share(some(3)), sliding(2, 1_000));
}

#[test]
fn a_full_queue_to_redis_is_unavailable_and_the_next_request_asks_for_a_batch_again() {
    let (queue, mut messages) = tokio::sync::mpsc::channel(1);
    let state = Arc::new(SharingState::default());
    state.set_up(true);
    let sharing = LimitSharing::new(queue, state);
    let counters = Arc::new(LimitCounters::default());
    let terms = RequestTerms::SlidingWindow(Window::new(some(1_000), Duration::from_secs(60)));
    let take = |key: &[u8]| {
        sharing.take(&SharedLimit { counters: &counters, id: b"limit", key, terms, is_exact: false }, Mono(1))
    };
    assert!(matches!(take(b"a"), SharedTake::Waits(_)));
    assert!(matches!(take(b"b"), SharedTake::Unavailable));
    messages.try_recv().unwrap();
    assert!(matches!(take(b"b"), SharedTake::Waits(_)));
    let Ok(SharingMessage::Ask(request)) = messages.try_recv() else { panic!() };
    assert_eq!(request.want, terms.batch(NonZeroU32::MIN));
}

#[test]
fn keys_without_requests_in_flight_use_no_memory() {
    let counters = LimitCounters::default();
    let terms = LimitTerms::Concurrent(some(1));
    let counted: Vec<CountedRequest> =
        (0..1_000_u32).map(|key| counters.take(&key.to_be_bytes(), terms, Mono(0)).unwrap()).collect();
    assert_eq!(counters.in_flight.keys(), 1_000);
    counted.into_iter().for_each(|counted| counters.give_back(counted, terms));
    assert_eq!(counters.in_flight.keys(), 0);
}

#[test]
fn a_flood_of_keys_does_not_evict_a_key_at_its_limit() {
    for (terms, keys_max) in [(sliding(2, 60_000), windows::KEYS_MAX), (bucket(2, 60_000, 2), table::KEYS_MAX)] {
        let counters = LimitCounters::default();
        assert_eq!(admitted(&counters, b"victim", terms, Mono(1)), 2);
        for key in 0..2 * keys_max {
            counters.take(&key.to_be_bytes(), terms, Mono(1)).unwrap();
        }
        assert!(counters.take(b"victim", terms, Mono(1)).is_err(), "{terms:?}");
    }
}

#[test]
fn threads_share_a_limit_exactly() {
    for (terms, expected) in
        [(sliding(1_000, 60_000), 1_000), (bucket(10, 60_000, 1_000), 1_000), (LimitTerms::Concurrent(some(77)), 77)]
    {
        let counters = LimitCounters::default();
        let passed = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for nth in 0..2_000_u32 {
                        // Other keys get their places at the same time.
                        let _ = counters.take(&nth.to_be_bytes(), terms, Mono(1));
                        passed.fetch_add(u32::from(counters.take(b"key", terms, Mono(1)).is_ok()), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), expected, "{terms:?}");
    }
}

#[test]
fn a_client_that_sends_at_the_rate_of_its_limit_is_never_refused() {
    for (limit, millis) in [(1, 2_000), (2, 2_000), (10, 1_000), (100, 60_000)] {
        let counters = LimitCounters::default();
        let terms = sliding(limit, millis);
        let interval = millis / u64::from(limit) * MILLI;
        for nth in 0..20 {
            let now = Mono(777 * MILLI + nth * interval);
            assert!(counters.take(b"a", terms, now).is_ok(), "{limit} in {millis} ms, request {nth}");
        }
    }
}

/// A token bucket as textbooks describe it: it has tokens, in parts of a nanosecond.
struct TokenModel {
    credit: u64,
    at: u64,
}

#[derive(Debug, Clone)]
struct Step {
    key: u8,
    forward: bool,
    millis: u64,
    given_back: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u8..3, prop::bool::weighted(0.9), 0_u64..400, prop::bool::weighted(0.1));
    let step = step.prop_map(|(key, forward, millis, given_back)| Step { key, forward, millis, given_back });
    prop::collection::vec(step, 1..300)
}

proptest! {
    /// The limiter admits what the model admits while time goes forward.
    #[test]
    fn token_buckets_agree_with_the_model(limit in 1_u32..20, burst in 1_u32..30, steps in steps()) {
        let counters = LimitCounters::default();
        let terms = bucket(limit, 1_000, burst);
        let interval = (1_000 * MILLI).div_ceil(u64::from(limit));
        let full = interval * u64::from(burst);
        let mut models: HashMap<u8, TokenModel> = HashMap::new();
        let mut now = 0;
        for Step { key, millis, given_back, .. } in steps {
            now += millis * MILLI;
            let model = models.entry(key).or_insert(TokenModel { credit: full, at: now });
            model.credit = full.min(model.credit + (now - model.at));
            model.at = now;
            let taken = counters.take(&[key], terms, Mono(now));
            prop_assert_eq!(taken.is_ok(), model.credit >= interval);
            match taken {
                Ok(counted) if given_back => counters.give_back(counted, terms),
                Ok(counted) => {
                    model.credit -= interval;
                    prop_assert_eq!(u64::from(counted.level.remaining), model.credit / interval);
                }
                Err(refused) => {
                    prop_assert_eq!(refused.retry_after, Duration::from_nanos(interval - model.credit));
                }
            }
        }
    }

    /// Whatever the times are, also going backwards, no more passes than a burst and the refill of the whole time.
    #[test]
    fn times_that_go_backwards_admit_no_more(limit in 1_u32..20, burst in 1_u32..30, steps in steps()) {
        let counters = LimitCounters::default();
        let terms = bucket(limit, 1_000, burst);
        let interval = (1_000 * MILLI).div_ceil(u64::from(limit));
        let start = 1_000_000 * MILLI;
        let mut now = start;
        let mut earliest = start;
        let mut latest = start;
        let mut passed = 0;
        for Step { forward, millis, .. } in steps {
            now = if forward { now + millis * MILLI } else { now - 2 * millis * MILLI };
            (earliest, latest) = (earliest.min(now), latest.max(now));
            passed += u64::from(counters.take(b"a", terms, Mono(now)).is_ok());
        }
        prop_assert!(passed <= u64::from(burst) + (latest - earliest) / interval);
    }

    /// Keys share a table, but no window.
    #[test]
    fn sliding_windows_agree_with_the_model(limit in 1_u32..20, window in 1_u64..2_000, steps in steps()) {
        let counters = LimitCounters::default();
        let terms = sliding(limit, window);
        let rule = Window::new(some(limit), Duration::from_millis(window));
        let mut models: HashMap<u8, WindowLog> = HashMap::new();
        let mut now_ms = 1_u64 << 35;
        for Step { key, forward, millis, given_back } in steps {
            now_ms = if forward { now_ms + millis } else { now_ms - millis };
            let model = models.entry(key).or_default();
            let view = model.view(rule, now_ms);
            let taken = counters.take(&[key], terms, Mono(now_ms * MILLI));
            prop_assert_eq!(taken.is_ok(), view.admits());
            match taken {
                Ok(counted) if given_back => {
                    counters.give_back(counted, terms);
                    let counted_ms = model.add(rule.span(), 1, now_ms);
                    model.remove(rule.span(), 1, counted_ms);
                }
                Ok(counted) => {
                    model.add(rule.span(), 1, now_ms);
                    prop_assert_eq!(counted.level.remaining, view.remaining - 1);
                }
                Err(refused) => prop_assert_eq!(refused.retry_after, Duration::from_millis(view.retry_after_ms)),
            }
        }
    }

    #[test]
    fn no_window_admits_more_than_the_limit(limit in 1_u32..20, steps in steps()) {
        let counters = LimitCounters::default();
        let terms = sliding(limit, 1_000);
        let mut now_ms = 5_000_u64;
        let mut passed = Vec::new();
        for Step { millis, .. } in steps {
            now_ms += millis;
            if counters.take(b"a", terms, Mono(now_ms * MILLI)).is_ok() {
                passed.push(now_ms);
            }
        }
        for from in &passed {
            let within = passed.iter().filter(|at| (*from..from + 1_000).contains(at)).count();
            prop_assert!(within <= limit as usize);
        }
    }
}

#[test]
fn the_state_of_a_key_is_that_after_its_last_request() {
    for terms in [sliding(8, 60_000), bucket(8, 60_000, 8), LimitTerms::Concurrent(some(8))] {
        let counters = LimitCounters::default();
        let now = Mono(5 * MILLI);
        let unused = counters.level(b"a", terms, now);
        assert_eq!((unused.limit, unused.remaining, unused.reset), (8, 8, Duration::ZERO), "{terms:?}");
        let mut last = unused;
        for _ in 0..3 {
            last = counters.take(b"a", terms, now).unwrap().level;
        }
        assert_eq!(counters.level(b"a", terms, now), last, "{terms:?}");
        assert_eq!(counters.level(b"b", terms, now), unused, "{terms:?}");
    }
}

/// Returns the busiest keys: the key, its used requests and its refusals.
fn busiest(counters: &LimitCounters, max: usize, now: Mono) -> (Vec<(String, u32, u32)>, usize) {
    let (busy, all) = counters.busiest(max, now);
    let named = |busy: &BusyKey| {
        (String::from_utf8(busy.key.as_deref().unwrap_or(b"-").to_vec()).unwrap(), busy.used(), busy.refused)
    };
    (busy.iter().map(named).collect(), all)
}

#[test]
fn keys_are_noted_from_a_quarter_of_their_limit_until_it_is_available_again() {
    let counters = LimitCounters::default();
    let terms = sliding(8, 1_000);
    let now = Mono(MILLI);
    let used = |key: &[u8], requests: u32| {
        for _ in 0..requests {
            let _ = counters.take(key, terms, now);
        }
    };
    used(b"little", 1);
    used(b"quarter", 2);
    used(b"most", 7);
    assert_eq!(busiest(&counters, 9, now), (vec![("most".to_owned(), 7, 0), ("quarter".to_owned(), 2, 0)], 2));
    assert_eq!(busiest(&counters, 1, now), (vec![("most".to_owned(), 7, 0)], 2));
    used(b"most", 3);
    counters.note_refusal(b"most", terms, now);
    counters.note_refusal(b"most", terms, now);
    let long = vec![b'x'; 1_000];
    used(&long, 8);
    let (busy, all) = busiest(&counters, 9, now);
    assert_eq!((busy.first(), all), (Some(&("most".to_owned(), 8, 2)), 3), "{busy:?}");
    assert!(busy.contains(&("-".to_owned(), 8, 0)), "a long key has no name: {busy:?}");
    // After the window, only the refused key is still of interest.
    let later = Mono(2_500 * MILLI);
    assert_eq!(busiest(&counters, 9, later), (vec![("most".to_owned(), 0, 2)], 1));
    assert_eq!(busiest(&counters, 9, Mono(62_000 * MILLI)), (Vec::new(), 0));
}

#[test]
fn noted_keys_are_bounded_and_unused_ones_leave_their_place() {
    let counters = LimitCounters::default();
    let terms = sliding(1, 1_000);
    for key in 0..2_000_u32 {
        counters.take(&key.to_be_bytes(), terms, Mono(MILLI)).unwrap();
    }
    assert_eq!(counters.busiest(9_999, Mono(MILLI)).1, 512);
    // The places of keys whose window is over are free.
    counters.take(b"new", terms, Mono(5_000 * MILLI)).unwrap();
    assert_eq!(busiest(&counters, 9, Mono(5_000 * MILLI)), (vec![("new".to_owned(), 1, 0)], 1));
}
