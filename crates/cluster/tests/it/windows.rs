//! Sliding windows: limits in one process and limits in Redis behave in the same way.

mod faults;
mod grants;
mod keys;
mod responses;
mod script;
mod tokens;

use std::num::NonZeroU32;
use std::time::Duration;

use access::exchange::limits::{RateLimitCheck, SharedLimits};
use access::{Clock, Secret};
use cluster::windows::{self, RedisFault, Sharing, WindowCheck, Windows};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::redis::Redis;

/// Long enough that no count expires during a test, wherever in the window the test begins.
const DAY: Duration = Duration::from_secs(86_400);

macro_rules! conformance {
    ($($claim:ident,)+) => {
        mod here {
            $(#[tokio::test]
            async fn $claim() {
                super::$claim(&super::World { redis: None }).await;
            })+
        }

        mod in_redis {
            $(#[tokio::test]
            async fn $claim() {
                super::$claim(&super::World { redis: Some(crate::redis::Redis::start().await) }).await;
            })+
        }
    };
}

conformance! {
    the_limit_passes_and_no_more,
    names_keys_and_windows_are_counted_apart,
    a_call_counts_against_all_limits_or_none,
    the_tightest_limit_answers,
    who_waits_as_told_passes,
    calls_at_once_share_the_limit,
    no_ask_is_no_limit,
    the_proxys_questions_are_counted_with_the_others,
    bounds_are_taken_for_what_lies_outside,
}

struct World {
    redis: Option<Redis>,
}

impl World {
    /// Returns the limits of one node; with Redis, other nodes share their counts.
    async fn windows(&self) -> Windows {
        match &self.redis {
            Some(redis) => shared(redis, "tollgate").await,
            None => Windows::here(Clock::system()),
        }
    }
}

/// A busy machine may be late; `faults` tests the effects of that.
const PATIENT: Duration = Duration::from_secs(10);

async fn shared(redis: &Redis, brand: &str) -> Windows {
    let windows = reach(&redis.url(), brand, PATIENT).await.unwrap();
    assert!(windows.is_shared());
    windows
}

async fn reach(url: &Secret, brand: &str, answer: Duration) -> Result<Windows, RedisFault> {
    Windows::shared(Sharing { url, brand, answer, node: None }, Clock::system()).await
}

fn ask<'a>(name: &'static str, key: &'a str, limit: u32) -> WindowCheck<'a> {
    WindowCheck { name, key, limit: NonZeroU32::new(limit).unwrap(), window: DAY }
}

async fn the_limit_passes_and_no_more(world: &World) {
    let windows = world.windows().await;
    let before = Clock::system().now();
    for left in (0..100).rev() {
        let verdict = windows.take(&[ask("a", "x", 100)]).await;
        assert_eq!((verdict.allowed, verdict.limit, verdict.remaining), (true, 100, left));
        assert_eq!(verdict.retry_after, Duration::ZERO);
        assert!((1..=2 * 86_400).contains(&(verdict.reset_at.unix_seconds() - before.unix_seconds())), "{verdict:?}");
    }
    for _ in 0..20 {
        let verdict = windows.take(&[ask("a", "x", 100)]).await;
        assert_eq!((verdict.allowed, verdict.limit, verdict.remaining), (false, 100, 0));
        assert!(verdict.retry_after > Duration::ZERO && verdict.retry_after < 2 * DAY, "{verdict:?}");
        assert!(verdict.reset_at.0 - before.0 >= u64::try_from(verdict.retry_after.as_micros()).unwrap());
    }
    assert_eq!(windows.fallbacks(), 0);
}

async fn names_keys_and_windows_are_counted_apart(world: &World) {
    let windows = world.windows().await;
    for other in
        [ask("a", "x", 1), ask("a", "y", 1), ask("b", "x", 1), WindowCheck { window: DAY / 2, ..ask("a", "x", 1) }]
    {
        assert!(windows.take(&[other]).await.allowed);
    }
    // A separator in a key does not change whose limit it is.
    assert!(windows.take(&[ask("a", "x\0", 1)]).await.allowed);
    assert!(windows.take(&[ask("a", "", 1)]).await.allowed);
    assert!(!windows.take(&[ask("a", "x", 1)]).await.allowed);
}

async fn a_call_counts_against_all_limits_or_none(world: &World) {
    let windows = world.windows().await;
    let asks = [ask("wide", "x", 10), ask("narrow", "x", 2), ask("other", "x", 10), ask("fourth", "x", 10)];
    for _ in 0..2 {
        assert!(windows.take(&asks).await.allowed);
    }
    for _ in 0..20 {
        let verdict = windows.take(&asks).await;
        assert_eq!((verdict.allowed, verdict.name, verdict.limit), (false, "narrow", 2));
    }
    assert_eq!(windows.take(&[ask("wide", "x", 10)]).await.remaining, 7);
    assert_eq!(windows.take(&[ask("fourth", "x", 10)]).await.remaining, 7);
    // A fifth limit is ignored.
    let [one, two, three, four] = [0, 1, 2, 3].map(|_| ask("five", "x", 100));
    assert!(windows.take(&[one, two, three, four, ask("narrow", "x", 2)]).await.allowed);
}

async fn the_tightest_limit_answers(world: &World) {
    let windows = world.windows().await;
    let short = WindowCheck { window: Duration::from_secs(3_600), ..ask("short", "x", 3) };
    let verdict = windows.take(&[ask("long", "x", 5), short]).await;
    assert_eq!((verdict.name, verdict.remaining), ("short", 2));
    for _ in 0..2 {
        windows.take(&[ask("long", "x", 5), short]).await;
    }
    for _ in 0..2 {
        assert!(windows.take(&[ask("long", "x", 5)]).await.allowed);
    }
    // Both refuse: the limit with the latest end determines the delay.
    let verdict = windows.take(&[short, ask("long", "x", 5)]).await;
    let long = windows.take(&[ask("long", "x", 5)]).await;
    assert_eq!((verdict.allowed, verdict.name), (false, "long"));
    assert!(verdict.retry_after.abs_diff(long.retry_after) < Duration::from_secs(30));
}

async fn who_waits_as_told_passes(world: &World) {
    let windows = world.windows().await;
    let short = WindowCheck { window: Duration::from_millis(700), ..ask("a", "x", 4) };
    for _ in 0..3 {
        // A part of the count may expire while the limit is filled.
        let mut verdict = windows.take(&[short]).await;
        for _ in 0..50 {
            if !verdict.allowed {
                break;
            }
            verdict = windows.take(&[short]).await;
        }
        assert!(!verdict.allowed && verdict.retry_after <= Duration::from_millis(700), "{verdict:?}");
        tokio::time::sleep(verdict.retry_after + Duration::from_millis(2)).await;
        let again = windows.take(&[short]).await;
        assert!(again.allowed, "{again:?}");
    }
}

async fn calls_at_once_share_the_limit(world: &World) {
    let first = world.windows().await;
    let second = if world.redis.is_some() { world.windows().await } else { first.clone() };
    let mut calls = JoinSet::new();
    for nth in 0..400 {
        let windows = if nth % 2 == 0 { first.clone() } else { second.clone() };
        calls.spawn(async move { windows.take(&[ask("a", "x", 100), ask("b", "x", 1_000)]).await.allowed });
    }
    let passed = calls.join_all().await.into_iter().filter(|allowed| *allowed).count();
    assert_eq!((passed, first.fallbacks() + second.fallbacks()), (100, 0));
}

async fn no_ask_is_no_limit(world: &World) {
    let windows = world.windows().await;
    let verdict = windows.take(&[]).await;
    assert!(verdict.allowed && verdict.name.is_empty() && verdict.remaining > 0);
}

async fn the_proxys_questions_are_counted_with_the_others(world: &World) {
    let windows = world.windows().await;
    let (queue, questions) = mpsc::channel(8);
    let limits = SharedLimits::new(queue);
    let serving = windows::serve(windows.clone(), questions, std::future::pending());
    let asking = async {
        let limit = NonZeroU32::new(3).unwrap();
        let check = || RateLimitCheck { name: "a", key: "x".to_owned(), limit, window: DAY };
        assert!(windows.take(&[ask("a", "x", 3)]).await.allowed);
        for _ in 0..2 {
            assert!(limits.take(vec![check()]).await.unwrap().allowed);
        }
        let answer = limits.take(vec![check()]).await.unwrap();
        assert!(!answer.allowed && answer.retry_after > Duration::ZERO);
        drop(limits);
    };
    // Serving ends when all senders are gone.
    tokio::join!(serving, asking);
}

async fn bounds_are_taken_for_what_lies_outside(world: &World) {
    let windows = world.windows().await;
    let huge = WindowCheck { name: "a", key: "x", limit: NonZeroU32::MAX, window: Duration::MAX };
    assert_eq!(windows.take(&[huge]).await.limit, 1_000_000);
    let tiny = WindowCheck { window: Duration::ZERO, ..huge };
    assert!(windows.take(&[tiny]).await.allowed);
}
