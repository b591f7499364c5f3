use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn ask<'a>(name: &'static str, key: &'a str, limit: u32) -> Ask<'a> {
    Ask { name, key, limit: NonZeroU32::new(limit).unwrap(), window: MINUTE }
}

fn at(seconds: u64) -> Mono {
    Mono(seconds * 1_000_000_000)
}

fn held(tally: &Tally, name: &str) -> usize {
    let names = tally.names.read().unwrap();
    let (_, sets) = names.iter().find(|(known, _)| *known == name).unwrap();
    sets.0.iter().map(|set| set.lock().unwrap().len()).sum()
}

#[test]
fn each_name_and_key_and_window_is_counted_apart() {
    let tally = Tally::default();
    for _ in 0..2 {
        for ask in
            [ask("a", "x", 2), ask("a", "y", 2), ask("b", "x", 2), Ask { window: MINUTE * 2, ..ask("a", "x", 2) }]
        {
            assert!(tally.take(&[ask], at(0)).allowed);
        }
    }
    let level = tally.take(&[ask("a", "x", 2)], at(30));
    assert_eq!((level.allowed, level.limit, level.remaining), (false, 2, 0));
    assert_eq!((level.retry_after, level.reset), (MINUTE, MINUTE));
}

#[test]
fn a_call_is_counted_against_all_limits_or_none() {
    let tally = Tally::default();
    let both = [ask("wide", "x", 10), ask("narrow", "x", 1)];
    let level = tally.take(&both, at(0));
    assert_eq!((level.allowed, level.name, level.remaining), (true, "narrow", 0));
    for _ in 0..20 {
        let level = tally.take(&both, at(0));
        assert_eq!((level.allowed, level.name), (false, "narrow"));
    }
    assert_eq!(tally.take(&[ask("wide", "x", 10)], at(0)).remaining, 8);
}

#[test]
fn a_look_says_what_a_call_would_meet_and_counts_nothing() {
    let tally = Tally::default();
    let both = [ask("wide", "x", 10), ask("narrow", "x", 1)];
    for _ in 0..20 {
        assert!(tally.peek(&both, at(0)).allowed);
    }
    assert_eq!(tally.take(&both, at(0)).remaining, 0);
    let level = tally.peek(&both, at(0));
    assert_eq!((level.allowed, level.name), (false, "narrow"));
    assert!(!level.retry_after.is_zero());
    assert!(tally.peek(&[], at(0)).allowed);
}

#[test]
fn what_is_noted_counts_whatever_the_limit_says() {
    let tally = Tally::default();
    for _ in 0..5 {
        tally.note(&[ask("a", "x", 3)], at(0));
    }
    assert!(!tally.take(&[ask("a", "x", 3)], at(0)).allowed);
    assert!(tally.take(&[], at(0)).allowed);
}

#[test]
fn memory_is_bounded_and_who_is_at_its_limit_stays_so() {
    let tally = Tally::default();
    for _ in 0..20 {
        tally.take(&[ask("a", "victim", 20)], at(0));
    }
    for stranger in 0..300_000 {
        assert!(tally.take(&[ask("a", &stranger.to_string(), 20)], at(1)).allowed);
    }
    assert!(held(&tally, "a") <= SETS * WAYS);
    assert!(!tally.take(&[ask("a", "victim", 20)], at(1)).allowed);
}

#[test]
fn what_counts_for_nothing_any_more_is_forgotten_first() {
    let tally = Tally::default();
    for stranger in 0..300_000 {
        tally.take(&[ask("a", &stranger.to_string(), 1)], at(0));
    }
    // All are at their limits; two windows later they make room for who comes.
    for newcomer in 0..1_000 {
        tally.take(&[ask("a", &format!("n{newcomer}"), 2)], at(121));
    }
    let kept = (0..1_000).filter(|n| tally.take(&[ask("a", &format!("n{n}"), 2)], at(121)).remaining == 0).count();
    assert_eq!(kept, 1_000);
}

#[test]
fn names_without_end_share_room_and_no_counts() {
    let tally = Tally::default();
    let names: Vec<&'static str> = (0..NAMES_MAX + 5).map(|n| &*n.to_string().leak()).collect();
    for name in &names {
        assert!(tally.take(&[ask(name, "x", 1)], at(0)).allowed);
    }
    for name in &names {
        assert!(!tally.take(&[ask(name, "x", 1)], at(0)).allowed);
    }
    assert_eq!(tally.names.read().unwrap().len(), NAMES_MAX);
}

#[test]
fn threads_that_ask_in_any_order_let_in_the_limit_together() {
    let tally = Tally::default();
    let passed = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (tally, passed) = (&tally, &passed);
            scope.spawn(move || {
                for call in 0..500 {
                    let own = format!("{thread}-{call}");
                    let mut asks = [ask("a", "x", 300), ask("b", "y", 1_000), ask("b", &own, 10), ask("a", "z", 400)];
                    if thread % 2 == 0 {
                        asks.reverse();
                    }
                    if tally.take(&asks, at(5)).allowed {
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
        /// As one count would say, for callers that are few.
        #[test]
        fn many_callers_are_as_exact_as_one(calls in prop::collection::vec((0_u8..4, 0_u64..40), 1..80)) {
            let (tally, mut counts, mut now) = (Tally::default(), [Count::default(); 4], 0);
            for (caller, gap) in calls {
                now += gap;
                let ask = ask("a", ["w", "x", "y", "z"][usize::from(caller)], 3);
                let view = counts[usize::from(caller)].at(ask.rule(), now * 1_000);
                prop_assert_eq!(tally.take(&[ask], at(now)).allowed, view.admits());
                if view.admits() {
                    counts[usize::from(caller)] = view.counted().count();
                }
            }
        }
    }
}
