use std::num::NonZeroU32;

use proptest::prelude::*;

use super::super::TokenUnit;
use super::*;

const SECOND: u64 = 1_000_000_000;
const MINUTE: Duration = Duration::from_secs(60);

fn some(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn window(limit: u32) -> TokenLimitTerms {
    TokenLimitTerms::sliding_window(TokenUnit::All, some(limit), MINUTE)
}

fn bucket(limit: u32, burst: u32) -> TokenLimitTerms {
    TokenLimitTerms::token_bucket(TokenUnit::All, some(limit), MINUTE, some(burst))
}

fn time_at(seconds: u64) -> Mono {
    Mono(seconds * SECOND)
}

fn settled(counted_ms: u64, reserved: u64, used: u64) -> TokenUse {
    TokenUse { counted_ms, reserved: Tokens(reserved), used: Tokens(used) }
}

/// Returns a count with some tokens, and the time at which they count.
fn counted(terms: TokenLimitTerms, tokens: u64, now: Mono) -> (TokenCount, u64) {
    let mut count = TokenCount::unused(terms);
    let counted_ms = count.add(terms, Tokens(tokens), now);
    (count, counted_ms)
}

#[test]
fn the_rest_of_a_reservation_can_be_used_again() {
    for terms in [window(1_000), bucket(1_000, 1_000)] {
        let (mut count, counted_ms) = counted(terms, 900, time_at(60));
        assert!(
            count.admits(terms, Tokens(100), time_at(60)) && !count.admits(terms, Tokens(101), time_at(60)),
            "{terms:?}"
        );
        count.settle(terms, settled(counted_ms, 900, 200), time_at(60));
        assert_eq!(
            (count.left(terms, time_at(60)), count.level(terms, time_at(60)).remaining),
            (Tokens(800), 800),
            "{terms:?}"
        );
    }
}

#[test]
fn tokens_beyond_a_reservation_count_when_they_are_known() {
    for (terms, refused_for) in [(window(1_000), 60_000), (bucket(1_000, 1_000), 252_000)] {
        let (mut count, counted_ms) = counted(terms, 100, time_at(60));
        count.settle(terms, settled(counted_ms, 100, 5_000), time_at(60));
        let wait = count.retry_after(terms, Tokens(200), time_at(60));
        assert_eq!(wait, Duration::from_millis(refused_for), "{terms:?}");
        let then = Mono(60 * SECOND + u64::try_from(wait.as_nanos()).unwrap());
        assert!(count.admits(terms, Tokens(200), then), "{terms:?}");
        assert_eq!(count.left(terms, time_at(61)), Tokens(0), "{terms:?}");
    }
}

#[test]
fn a_window_forgives_what_exceeds_it_after_its_length_and_a_bucket_when_it_has_refilled() {
    for (terms, is_forgiven) in [(window(1_000), true), (bucket(1_000, 1_000), false)] {
        let (mut count, counted_ms) = counted(terms, 1_000, time_at(60));
        count.settle(terms, settled(counted_ms, 1_000, 10_000), time_at(60));
        assert_eq!(count.admits(terms, Tokens(1_000), time_at(120)), is_forgiven, "{terms:?}");
        assert!(count.admits(terms, Tokens(1_000), time_at(60 + 600)), "{terms:?}");
    }
}

#[test]
fn the_rest_of_a_call_leaves_the_window_in_which_it_was_reserved() {
    let terms = window(1_000);
    let (mut count, early_ms) = counted(terms, 600, time_at(60));
    let late_ms = count.add(terms, Tokens(300), time_at(90));
    count.settle(terms, settled(early_ms, 600, 100), time_at(100));
    assert_eq!(count.left(terms, time_at(100)), Tokens(600));
    count.settle(terms, settled(early_ms, 100, 0), time_at(120));
    assert_eq!(count.left(terms, time_at(120)), Tokens(700), "its tokens have left the window");
    count.settle(terms, settled(late_ms, 300, 301), time_at(130));
    assert_eq!((count.left(terms, time_at(130)), count.left(terms, time_at(150))), (Tokens(699), Tokens(999)));
}

#[test]
fn no_call_waits_longer_than_the_window() {
    let terms = window(1_000);
    for (tokens, needed) in [(1_000, 80), (920, 1_000), (1_000, 1_000)] {
        let (count, _) = counted(terms, tokens, time_at(61));
        assert_eq!(count.retry_after(terms, Tokens(needed), time_at(62)), Duration::from_secs(59));
    }
}

#[test]
fn a_limit_whose_algorithm_changes_begins_again() {
    let (mut count, _) = counted(window(1_000), 900, time_at(60));
    assert_eq!(count.left(bucket(1_000, 1_000), time_at(61)), Tokens(1_000));
    count.add(bucket(1_000, 1_000), Tokens(400), time_at(61));
    assert_eq!(count.left(window(1_000), time_at(61)), Tokens(1_000));
    count.add(window(1_000), Tokens(100), time_at(61));
    assert_eq!(count.left(window(1_000), time_at(61)), Tokens(900));
}

#[test]
fn a_clock_that_goes_back_gives_no_more_than_one_further_limit() {
    let terms = window(1_000);
    let (count, _) = counted(terms, 1_000, time_at(600));
    assert!(!count.admits(terms, Tokens(1), time_at(590)), "time stands still");
    assert_eq!(count.left(terms, time_at(400)), Tokens(1_000), "the counts are discarded");
    let (full, _) = counted(bucket(1_000, 500), 500, time_at(600));
    assert!(!full.admits(bucket(1_000, 500), Tokens(1), time_at(590)));
}

#[test]
fn the_shares_of_nodes_together_are_the_limit() {
    let window = window(1_000).share(some(4));
    let bucket = bucket(1_000, 200).share(some(4));
    assert_eq!((window.limit(), window.at_once(), bucket.at_once()), (250, 250, 50));
    assert_eq!(bucket.refill(), Some(Duration::from_secs(12)), "each has a quarter of the rate");
    assert_eq!(super::super::TokenLimitTerms::share(window, some(1_000)).at_once(), 1);
}

proptest! {
    #[test]
    fn a_call_is_admitted_after_the_reported_time_and_not_long_before(
        is_bucket: bool,
        limit in 1_u32..1_000_000_000,
        parts in prop::collection::vec((0_u64..90_000, 1_u64..1_000, 0_u64..3_000), 1..12),
        needed in 1_u64..1_000,
    ) {
        let terms = if is_bucket { bucket(limit, limit) } else { window(limit) };
        let of_limit = |part: u64| Tokens((u64::from(limit) * part).div_ceil(1_000));
        let mut count = TokenCount::unused(terms);
        let mut now = time_at(1_000);
        for (pause_ms, reserved, actual) in parts {
            now = Mono(now.0 + pause_ms * NANOS_PER_MILLI);
            let reserved = of_limit(reserved);
            if count.admits(terms, reserved, now) {
                let left = count.left(terms, now);
                let counted_ms = count.add(terms, reserved, now);
                prop_assert!(count.left(terms, now) <= left);
                count.settle(terms, TokenUse { counted_ms, reserved, used: of_limit(actual) }, now);
            }
        }
        let needed = of_limit(needed);
        let wait = count.retry_after(terms, needed, now);
        prop_assert_eq!(wait.is_zero(), count.admits(terms, needed, now));
        prop_assert_eq!(needed <= count.left(terms, now), wait.is_zero());
        let then = Mono(now.0 + u64::try_from(wait.as_nanos()).unwrap());
        prop_assert!(count.admits(terms, needed, then));
        prop_assert!(is_bucket || wait <= MINUTE);
        if wait > Duration::from_millis(2) {
            prop_assert!(!count.admits(terms, needed, Mono(then.0 - 2 * NANOS_PER_MILLI)));
        }
    }
}
