use super::*;

fn rate(limit: u32) -> Rate {
    Rate::per_minute(NonZeroU32::new(limit).unwrap())
}

fn time_at(seconds: u64) -> Mono {
    Mono(seconds * 1_000_000_000)
}

#[test]
fn burst_of_the_limit_passes_then_one_per_interval() {
    let bucket = Bucket::default();
    let rate = rate(60);
    for left in (0..60).rev() {
        assert_eq!(bucket.take(rate, time_at(100)).unwrap().remaining, left);
    }
    let empty = bucket.take(rate, time_at(100)).unwrap_err();
    assert_eq!((empty.limit, empty.retry_after, empty.reset), (60, Duration::from_secs(1), Duration::from_secs(60)));
    assert!(bucket.take(rate, time_at(101)).is_ok());
    assert!(bucket.take(rate, time_at(101)).is_err());
}

#[test]
fn refusal_takes_nothing_and_a_returned_request_passes_again() {
    let bucket = Bucket::default();
    let rate = rate(1);
    assert!(bucket.take(rate, time_at(1)).is_ok());
    for _ in 0..100 {
        assert_eq!(bucket.take(rate, time_at(1)).unwrap_err().retry_after, Duration::from_secs(60));
    }
    bucket.give_back(rate);
    assert!(bucket.take(rate, time_at(1)).is_ok());
}

mod property_tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// No window admits more than the burst plus the refill.
        #[test]
        fn never_more_than_burst_plus_refill(limit in 1_u32..500, steps in prop::collection::vec(0_u64..5_000, 1..400)) {
            let bucket = Bucket::default();
            let rate = rate(limit);
            let mut now_ms = 0_u64;
            let mut passed = 0_u64;
            for step in steps {
                now_ms += step;
                passed += u64::from(bucket.take(rate, Mono(now_ms * 1_000_000)).is_ok());
                prop_assert!(passed <= u64::from(limit) + now_ms * u64::from(limit) / 60_000 + 1);
            }
        }
    }
}

#[test]
fn no_window_admits_more_than_a_full_bucket_and_its_refill() {
    for (limit, millis) in [(1, 1_000), (7, 1_000), (60, 6_000)] {
        let rate = Rate::new(NonZeroU32::new(limit).unwrap(), Duration::from_millis(millis));
        let bucket = Bucket::default();
        let window = millis * 1_000_000;
        // A client tries every millisecond after a long pause.
        let mut passed = Vec::new();
        for now in (0..2 * millis).map(|at| 10 * window + at * 1_000_000) {
            while bucket.take(rate, Mono(now)).is_ok() {
                passed.push(now);
            }
        }
        let most = passed.iter().map(|from| passed.iter().filter(|at| (*from..from + window).contains(at)).count());
        let most = u64::try_from(most.max().unwrap()).unwrap();
        assert!((rate.most_in_window() - 1..=rate.most_in_window()).contains(&most), "{limit}: {most}");
    }
}

#[test]
fn a_refill_never_exceeds_the_limit_where_the_interval_is_no_whole_number() {
    let rate = Rate::per_minute(NonZeroU32::new(700_000).unwrap());
    let bucket = Bucket::default();
    let admitted = |now| std::iter::repeat_with(|| bucket.take(rate, now)).take_while(Result::is_ok).count();
    assert_eq!(admitted(time_at(100)), 700_000);
    let refilled = u64::try_from(admitted(Mono(time_at(160).0 - 1))).unwrap();
    assert!(700_000 + refilled <= rate.most_in_window(), "{refilled}");
    assert!(refilled >= 699_000, "{refilled}");
}

#[test]
fn the_bucket_is_full_again_within_its_window() {
    let rate = rate(7);
    let bucket = Bucket::default();
    let levels: Vec<RateLevel> = (0..7).map(|_| bucket.take(rate, time_at(1)).unwrap()).collect();
    assert_eq!(levels.last().unwrap().reset, Duration::from_secs(60));
    assert!(bucket.take(rate, time_at(1)).unwrap_err().reset <= Duration::from_secs(60));
}
