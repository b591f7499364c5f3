use super::*;

fn window(limit: u32, length_ms: u64) -> Window {
    Window::new(NonZeroU32::new(limit).unwrap(), Duration::from_millis(length_ms))
}

/// Admits as many of `calls` as may pass at `now_ms`; returns their number.
fn burst(log: &mut WindowLog, window: Window, now_ms: u64, calls: u32) -> u32 {
    let passed = calls.min(log.view(window, now_ms).remaining);
    if passed > 0 {
        log.add(window.span(), passed.into(), now_ms);
    }
    passed
}

#[test]
fn limit_passes_and_then_nothing_until_its_requests_have_left_the_window() {
    let mut log = WindowLog::default();
    let window = window(100, 60_000);
    assert_eq!(burst(&mut log, window, 600_000, 60), 60);
    assert_eq!(burst(&mut log, window, 630_000, 150), 40);
    let view = log.view(window, 631_000);
    assert_eq!((view.remaining, view.retry_after_ms, view.reset_ms), (0, 29_000, 29_000));
    assert!(!log.view(window, 659_999).admits());
    assert_eq!(burst(&mut log, window, 660_000, 100), 60);
    assert_eq!(burst(&mut log, window, 690_000, 100), 40);
    assert_eq!(burst(&mut log, window, 840_000, 150), 100);
}

#[test]
fn evenly_spread_requests_of_a_small_limit_all_pass() {
    for (limit, length_ms) in [(1, 2_000), (2, 2_000), (3, 1_000), (7, 60_000), (100, 60_000)] {
        for start_ms in [1_000_000, 1_000_001, 1_001_000, 1_001_999] {
            let mut log = WindowLog::default();
            let window = window(limit, length_ms);
            let interval_ms = length_ms.div_ceil(u64::from(limit));
            let passed: u32 = (0..200).map(|nth| burst(&mut log, window, start_ms + nth * interval_ms, 1)).sum();
            assert_eq!(passed, 200, "{limit} in {length_ms} ms");
        }
    }
}

#[test]
fn a_request_that_is_removed_was_never_counted() {
    for limit in [2, 1_000] {
        let mut log = WindowLog::default();
        let window = window(limit, 60_000);
        let first_ms = log.add(window.span(), 1, 1_000);
        let second_ms = log.add(window.span(), 1, 1_100);
        log.remove(window.span(), 1, first_ms);
        assert_eq!(log.view(window, 1_100).remaining, limit - 1);
        log.remove(window.span(), 1, second_ms);
        assert_eq!(log.view(window, 1_100).remaining, limit);
        log.add(window.span(), 1, 70_000);
        log.remove(window.span(), 1, second_ms);
        assert_eq!(log.view(window, 70_000).remaining, limit - 1, "it has left the window");
    }
}

#[test]
fn clock_jump_delays_requests_for_at_most_two_windows() {
    let window = window(10, 60_000);
    let day = 86_400_000;
    let mut log = WindowLog::default();
    assert_eq!(burst(&mut log, window, 2 * day, 20), 10);
    // The clock goes back by less than a window: time stands still.
    let back = log.view(window, 2 * day - 59_000);
    assert_eq!((back.admits(), back.retry_after_ms), (false, 60_000));
    assert!(log.view(window, 2 * day - 60_001).admits(), "the requests are discarded");
    // The clock goes ahead by a day and back again.
    assert_eq!(burst(&mut log, window, 3 * day, 20), 10);
    assert_eq!(burst(&mut log, window, 2 * day, 20), 10);
}

#[test]
fn an_unused_key_counts_nothing_after_any_time() {
    let mut log = WindowLog::default();
    let window = window(1, 1_000);
    for now_ms in [5, (1 << 32) + 5, (1 << 33) + 5, (1 << 40) + 5] {
        assert_eq!(burst(&mut log, window, now_ms, 9), 1, "{now_ms}");
    }
}

#[test]
fn logs_of_one_set_have_a_bounded_number_of_entries_and_lose_no_request() {
    let window = window(100, 60_000);
    let mut logs = vec![WindowLog::default(); 8];
    for nth in 0..100 {
        for log in &mut logs {
            log.add(window.span(), 1, 1_000_000 + nth);
        }
        keep_bounded(logs.iter_mut());
    }
    assert!(logs.iter().map(|log| log.count(window.span(), 1_000_099)).eq([100; 8]));
    assert!(logs.iter().all(|log| log.view(window, 1_060_098).remaining < 100));
    assert!(logs.iter().map(WindowLog::len).sum::<usize>() <= 256);
    assert!(logs.iter().all(|log| log.view(window, 1_060_099).remaining == 100));
}

mod property_tests {
    use proptest::prelude::*;

    use super::*;

    /// Limits and lengths of all sizes, small ones as often as large ones.
    fn windows() -> impl Strategy<Value = Window> {
        let limit = prop_oneof![1..=5_u32, 1..=EXACT_MAX, 101..=3_000_u32, 1..=LIMIT_MAX];
        let length_ms = prop_oneof![Just(1_000), 1_000..10_000_u64, 1_000..=86_400_000_u64, Just(86_400_000)];
        (limit, length_ms).prop_map(|(limit, length_ms)| window(limit, length_ms))
    }

    /// Requests as (thousandths of the window since the last one, thousandths of the limit at once).
    fn calls() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec((0_u64..400, 0_u64..700), 1..80)
    }

    proptest! {
        #[test]
        fn no_span_of_a_window_has_more_than_the_limit(window in windows(), calls in calls()) {
            let mut log = WindowLog::default();
            let mut now_ms = 1_000_000_007;
            let mut passed: Vec<(u64, u64)> = Vec::new();
            for (gap, many) in calls {
                now_ms += gap * window.length_ms() / 1_000;
                let many = (u64::from(window.limit()) * many).div_ceil(1_000);
                let admitted = burst(&mut log, window, now_ms, u32::try_from(many).unwrap());
                passed.push((now_ms, admitted.into()));
                let within = |part_ms: u64| {
                    let is_within = |at: u64| at + window.length_ms() + part_ms > now_ms;
                    passed.iter().filter(|(at, _)| is_within(*at)).map(|(_, count)| count).sum::<u64>()
                };
                prop_assert!(within(0) <= window.limit().into());
                // A request is refused only if the limit was used within the window, or a part of it before.
                let part_ms = window.span().part_ms() - 1;
                prop_assert!(u64::from(admitted) == many || within(part_ms) >= window.limit().into());
            }
        }

        #[test]
        fn a_client_that_obeys_retry_after_passes(window in windows(), calls in calls()) {
            let mut log = WindowLog::default();
            let mut now_ms = 1_000_000_007;
            for (gap, many) in calls {
                now_ms += gap * window.length_ms() / 1_000;
                let many = (u64::from(window.limit()) * many).div_ceil(1_000);
                burst(&mut log, window, now_ms, u32::try_from(many).unwrap());
                let view = log.view(window, now_ms);
                let wait_ms = view.retry_after_ms;
                prop_assert_eq!(view.admits(), wait_ms == 0);
                prop_assert!(wait_ms <= view.reset_ms && view.reset_ms <= window.length_ms());
                prop_assert!(wait_ms == 0 || !log.view(window, now_ms + wait_ms - 1).admits());
                prop_assert!(log.view(window, now_ms + wait_ms).admits());
                if wait_ms > 0 {
                    now_ms += wait_ms;
                    prop_assert_eq!(burst(&mut log, window, now_ms, 1), 1);
                }
            }
        }

        #[test]
        fn a_log_is_short(window in windows(), calls in prop::collection::vec(0_u64..20, 1..400)) {
            let mut log = WindowLog::default();
            let mut now_ms = 1_000_000_007;
            for gap in calls {
                now_ms += gap * window.length_ms() / 1_000;
                burst(&mut log, window, now_ms, 1);
            }
            prop_assert!(log.len() <= usize::try_from(EXACT_MAX).unwrap() + 2);
        }

        #[test]
        fn windows_tolerate_any_clock(window in windows(), times in prop::collection::vec(any::<u64>(), 1..20)) {
            let mut log = WindowLog::default();
            for now_ms in times {
                burst(&mut log, window, now_ms, 3);
                let view = log.view(window, now_ms);
                prop_assert!(view.remaining <= window.limit());
                prop_assert!(view.retry_after_ms <= window.length_ms() && view.reset_ms <= window.length_ms());
            }
        }
    }
}
