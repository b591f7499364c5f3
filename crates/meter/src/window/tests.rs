use super::*;

fn window(limit: u32, length_ms: u64) -> Window {
    Window::new(NonZeroU32::new(limit).unwrap(), Duration::from_millis(length_ms))
}

/// Admits as many of `calls` as may pass at `now_ms`; returns their number.
fn burst(count: &mut WindowCount, window: Window, now_ms: u64, calls: u32) -> u32 {
    let mut passed = 0;
    for _ in 0..calls {
        let view = count.at(window, now_ms);
        if view.admits() {
            *count = view.counted().count();
            passed += 1;
        }
    }
    passed
}

#[test]
fn limit_passes_and_then_nothing_until_the_next_window() {
    let (mut count, window) = (WindowCount::default(), window(100, 60_000));
    assert_eq!(burst(&mut count, window, 600_000, 150), 100);
    let view = count.at(window, 630_000);
    assert_eq!((view.remaining(), view.retry_after_ms(), view.reset_ms()), (0, 30_600, 30_600));
    assert!(!count.at(window, 660_599).admits());
    assert_eq!(burst(&mut count, window, 660_600, 9), 1);
    assert_eq!(burst(&mut count, window, 690_000, 200), 49);
    assert_eq!(count.at(window, 720_000), WindowCount { index: 12, current: 0, previous: 50 }.at(window, 720_000));
    assert_eq!(burst(&mut count, window, 840_000, 150), 100);
}

#[test]
fn limit_of_one_waits_for_the_whole_next_window() {
    let (mut count, window) = (WindowCount::default(), window(1, 1_000));
    assert_eq!(burst(&mut count, window, 5_400, 3), 1);
    // A second wait ends after the next window.
    assert_eq!([5_400, 6_400].map(|at| count.at(window, at).retry_after_ms()), [1_000, 600]);
    assert!(!count.at(window, 6_999).admits());
    assert!(count.at(window, 7_000).admits());
}

#[test]
fn clock_jump_delays_requests_for_at_most_two_windows() {
    let window = window(10, 60_000);
    let day = 86_400_000;
    let mut count = WindowCount::default();
    assert_eq!(burst(&mut count, window, 2 * day, 20), 10);
    // The clock goes back by less than a window: time stands still at the window's beginning.
    let back = count.at(window, 2 * day - 1);
    assert_eq!((back.admits(), back.count(), back.retry_after_ms()), (false, count, 60_000));
    // The clock goes ahead by a day and back again.
    assert_eq!(burst(&mut count, window, 3 * day, 20), 10);
    assert_eq!(burst(&mut count, window, 2 * day, 20), 10);
}

mod property_tests {
    use proptest::prelude::*;

    use super::*;

    /// Requests as (milliseconds since the last one, number at once).
    fn calls() -> impl Strategy<Value = Vec<(u64, u32)>> {
        prop::collection::vec((0_u64..3_000, 0_u32..40), 1..60)
    }

    proptest! {
        #[test]
        fn admitted_requests_never_weigh_more_than_the_limit(
            limit in 1_u32..50, length_ms in 1_u64..5_000, calls in calls(),
        ) {
            let (mut count, window, mut now_ms) = (WindowCount::default(), window(limit, length_ms), 1_000_000);
            let mut passed: Vec<u64> = Vec::new();
            for (gap_ms, many) in calls {
                now_ms += gap_ms;
                let burst = burst(&mut count, window, now_ms, many);
                prop_assert!(burst <= limit);
                passed.extend((0..burst).map(|_| now_ms));
                let (index, left_ms) = (now_ms / length_ms, length_ms - now_ms % length_ms);
                let of = |index: u64| passed.iter().filter(|at| **at / length_ms == index).count() as u64;
                prop_assert!(of(index) * length_ms + of(index - 1) * left_ms <= u64::from(limit) * length_ms);
                let span = passed.iter().filter(|at| now_ms - **at < length_ms).count() as u64;
                prop_assert!(span < 2 * u64::from(limit), "the documented bound of any span of the window's length");
            }
        }

        #[test]
        fn evenly_spread_requests_exceed_the_limit_in_no_span(
            limit in 1_u32..50, interval_ms in 1_u64..200, start_ms in 0_u64..20_000, count in 1_u64..400,
        ) {
            // One request at a time, as many as the limit allows in the long run.
            let (mut state, window) = (WindowCount::default(), window(limit, u64::from(limit) * interval_ms));
            let mut passed: Vec<u64> = Vec::new();
            for number in 0..count {
                let now_ms = 1_000_000 + start_ms + number * interval_ms;
                passed.extend((0..burst(&mut state, window, now_ms, 1)).map(|_| now_ms));
                let span = passed.iter().filter(|at| now_ms - **at < window.length_ms()).count();
                prop_assert!(span <= limit as usize);
            }
        }

        #[test]
        fn request_passes_after_retry_after_and_not_before(
            limit in 1_u32..50, length_ms in 1_u64..5_000, calls in calls(),
        ) {
            let (mut count, window, mut now_ms) = (WindowCount::default(), window(limit, length_ms), 1_000_000);
            for (gap_ms, many) in calls {
                now_ms += gap_ms;
                burst(&mut count, window, now_ms, many);
                let wait_ms = count.at(window, now_ms).retry_after_ms();
                prop_assert!(wait_ms <= length_ms && count.at(window, now_ms).reset_ms() >= wait_ms);
                prop_assert!(count.at(window, now_ms).reset_ms() <= length_ms);
                prop_assert!(wait_ms == 0 || !count.at(window, now_ms + wait_ms - 1).admits());
                // A full window may refuse a second time, for a short time.
                let again_ms = count.at(window, now_ms + wait_ms).retry_after_ms();
                prop_assert!(again_ms == 0 || wait_ms == length_ms && again_ms <= length_ms.div_ceil(u64::from(limit)));
                prop_assert!(count.at(window, now_ms + wait_ms + again_ms).admits());
            }
        }

        #[test]
        fn windows_tolerate_any_clock(
            limit in 1_u32..=u32::MAX, length_ms in 0_u64..=u64::MAX, index: u64, current: u32, previous: u32, now_ms: u64,
        ) {
            let (count, window) = (WindowCount { index, current, previous }, window(limit, length_ms));
            let view = count.at(window, now_ms);
            prop_assert!(view.remaining() <= window.limit());
            prop_assert!(view.admits() == (view.retry_after_ms() == 0));
            let later = now_ms.saturating_add(2 * window.length_ms() + 1);
            prop_assert!(current > window.limit() || later == u64::MAX || index > later / window.length_ms() || count.at(window, later).admits());
            let _ = (view.counted().count(), view.reset_ms());
        }

        #[test]
        fn products_are_exact_in_a_double(current in 0..=LIMIT_MAX, elapsed_ms in 0_u64..86_400_000) {
            let length_ms = 86_400_000_u64;
            let used = u64::from(current) * length_ms + u64::from(LIMIT_MAX) * (length_ms - elapsed_ms);
            prop_assert!(used < 1 << 53);
        }
    }
}
