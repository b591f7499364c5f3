use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn check<'a>(name: &'static str, key: &'a str, limit: u32) -> WindowCheck<'a> {
    WindowCheck { name, key, limit: NonZeroU32::new(limit).unwrap(), window: MINUTE }
}

fn time_at(seconds: u64) -> Mono {
    Mono(seconds * 1_000_000_000)
}

fn held(counts: &WindowCounts, name: &str) -> usize {
    let names = counts.names.read().unwrap();
    let (_, sets) = names.iter().find(|(known, _)| *known == name).unwrap();
    sets.0.iter().map(|set| set.lock().unwrap().len()).sum()
}

#[test]
fn each_name_key_and_window_is_counted_separately() {
    let counts = WindowCounts::default();
    for _ in 0..2 {
        for check in [
            check("a", "x", 2),
            check("a", "y", 2),
            check("b", "x", 2),
            WindowCheck { window: MINUTE * 2, ..check("a", "x", 2) },
        ] {
            assert!(counts.take(&[check], time_at(0)).allowed);
        }
    }
    let level = counts.take(&[check("a", "x", 2)], time_at(30));
    assert_eq!((level.allowed, level.limit, level.remaining), (false, 2, 0));
    assert_eq!((level.retry_after, level.reset), (MINUTE / 2, MINUTE / 2));
}

#[test]
fn request_is_counted_against_all_limits_or_none() {
    let counts = WindowCounts::default();
    let both = [check("wide", "x", 10), check("narrow", "x", 1)];
    let level = counts.take(&both, time_at(0));
    assert_eq!((level.allowed, level.name, level.remaining), (true, "narrow", 0));
    for _ in 0..20 {
        let level = counts.take(&both, time_at(0));
        assert_eq!((level.allowed, level.name), (false, "narrow"));
    }
    assert_eq!(counts.take(&[check("wide", "x", 10)], time_at(0)).remaining, 8);
}

#[test]
fn peek_returns_the_result_without_counting() {
    let counts = WindowCounts::default();
    let both = [check("wide", "x", 10), check("narrow", "x", 1)];
    for _ in 0..20 {
        assert!(counts.peek(&both, time_at(0)).allowed);
    }
    assert_eq!(counts.take(&both, time_at(0)).remaining, 0);
    let level = counts.peek(&both, time_at(0));
    assert_eq!((level.allowed, level.name), (false, "narrow"));
    assert!(!level.retry_after.is_zero());
    assert!(counts.peek(&[], time_at(0)).allowed);
}

#[test]
fn noted_request_counts_regardless_of_the_limit() {
    let counts = WindowCounts::default();
    for _ in 0..5 {
        counts.note(&[check("a", "x", 3)], time_at(0));
    }
    assert!(!counts.take(&[check("a", "x", 3)], time_at(0)).allowed);
    assert!(counts.take(&[], time_at(0)).allowed);
}

#[test]
fn memory_is_bounded_and_a_count_at_its_limit_is_kept() {
    let counts = WindowCounts::default();
    for _ in 0..20 {
        counts.take(&[check("a", "victim", 20)], time_at(0));
    }
    for stranger in 0..300_000 {
        assert!(counts.take(&[check("a", &stranger.to_string(), 20)], time_at(1)).allowed);
    }
    assert!(held(&counts, "a") <= SETS * WAYS);
    assert!(!counts.take(&[check("a", "victim", 20)], time_at(1)).allowed);
}

#[test]
fn expired_counts_are_evicted_first() {
    let counts = WindowCounts::default();
    for stranger in 0..300_000 {
        counts.take(&[check("a", &stranger.to_string(), 1)], time_at(0));
    }
    // All counts are at their limits; a window later they can be evicted.
    for newcomer in 0..1_000 {
        counts.take(&[check("a", &format!("n{newcomer}"), 2)], time_at(121));
    }
    let kept =
        (0..1_000).filter(|n| counts.take(&[check("a", &format!("n{n}"), 2)], time_at(121)).remaining == 0).count();
    assert_eq!(kept, 1_000);
}

#[test]
fn excess_names_share_sets_but_not_counts() {
    let counts = WindowCounts::default();
    let names: Vec<&'static str> = (0..NAMES_MAX + 5).map(|n| &*n.to_string().leak()).collect();
    for name in &names {
        assert!(counts.take(&[check(name, "x", 1)], time_at(0)).allowed);
    }
    for name in &names {
        assert!(!counts.take(&[check(name, "x", 1)], time_at(0)).allowed);
    }
    assert_eq!(counts.names.read().unwrap().len(), NAMES_MAX);
}

#[test]
fn concurrent_checks_in_any_order_admit_exactly_the_limit() {
    let counts = WindowCounts::default();
    let passed = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let counts = &counts;
            let passed = &passed;
            scope.spawn(move || {
                for call in 0..500 {
                    let own = format!("{thread}-{call}");
                    let mut checks =
                        [check("a", "x", 300), check("b", "y", 1_000), check("b", &own, 10), check("a", "z", 400)];
                    if thread % 2 == 0 {
                        checks.reverse();
                    }
                    if counts.take(&checks, time_at(5)).allowed {
                        passed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 300);
}

mod property_tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// With few keys, the result equals that of separate counts.
        #[test]
        fn counts_of_many_keys_are_exact(calls in prop::collection::vec((0_u8..4, 0_u64..40), 1..80)) {
            let counts = WindowCounts::default();
            let mut expected = vec![WindowLog::default(); 4];
            let mut now = 0;
            for (caller, gap) in calls {
                now += gap;
                let check = check("a", ["w", "x", "y", "z"][usize::from(caller)], 3);
                let log = &mut expected[usize::from(caller)];
                let admits = log.view(check.rule(), now * 1_000).admits();
                prop_assert_eq!(counts.take(&[check], time_at(now)).allowed, admits);
                if admits {
                    log.add(check.rule().span(), 1, now * 1_000);
                }
            }
        }
    }
}
