//! The script in Redis and `meter::window` return the same results, at any time of any clock.

use std::num::NonZeroU32;
use std::time::Duration;

use meter::window::{Window, WindowLog};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Script};

use crate::redis::Redis;

const CLOCK: &str = include_str!("../../../src/windows/clock.lua");
const LOG: &str = include_str!("../../../src/windows/window_log.lua");
const BUCKET: &str = include_str!("../../../src/windows/bucket.lua");
const TAKE: &str = include_str!("../../../src/windows/take.lua");

/// Compiles `text` with a clock that the test sets.
pub(super) fn clocked(text: &str) -> Script {
    let clock = "redis.call('TIME')";
    assert_eq!(text.matches(clock).count(), 1);
    Script::new(&text.replace(clock, "{ARGV[#ARGV - 1], ARGV[#ARGV]}"))
}

/// Returns a script with the clock and the functions that it begins with.
pub(super) fn with_functions(text: &str) -> String {
    [CLOCK, BUCKET, LOG, text].concat()
}

/// Returns a script without expiry: the clock of Redis continues and would delete the counts.
pub(super) fn without_expiry(text: &str) -> String {
    assert!(text.contains("'PEXPIRE'"));
    text.lines().filter(|line| !line.contains("'PEXPIRE'")).collect::<Vec<_>>().join("\n")
}

async fn take(script: &Script, connection: &mut MultiplexedConnection, window: Window, now_ms: u64) -> Vec<u64> {
    let mut call = script.key("count");
    call.arg(window.limit()).arg(window.length_ms()).arg(now_ms / 1_000).arg(now_ms % 1_000 * 1_000 + 999);
    call.invoke_async(connection).await.unwrap()
}

/// Reproducible pseudorandom numbers (SplitMix64).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[tokio::test]
async fn redis_counts_as_the_meter_does() {
    let redis = Redis::start().await;
    let mut connection = redis.connection().await;
    let script = clocked(&without_expiry(&with_functions(TAKE)));
    let mut numbers = Numbers(4);
    for (limit, length_ms) in
        [(1, 1), (1, 1_000), (3, 10), (100, 60_000), (101, 60_000), (7, 977), (300, 977), (1_000_000, 86_400_000)]
    {
        connection.del::<_, ()>("count").await.unwrap();
        let window = Window::new(NonZeroU32::new(limit).unwrap(), Duration::from_millis(length_ms));
        let mut log = WindowLog::default();
        let mut now_ms = 1_800_000_000_000_u64;
        for step in 0..400 {
            // Mostly small steps forward; sometimes large ones, and steps back.
            now_ms = match numbers.below(20) {
                0 => now_ms + numbers.below(3 * length_ms),
                1 => now_ms - numbers.below(2 * length_ms),
                2 => now_ms + numbers.below(86_400_000 * 2),
                _ => now_ms + numbers.below(length_ms / u64::from(limit).min(20) + 2),
            };
            let admits = log.view(window, now_ms).admits();
            if admits {
                log.add(window.span(), 1, now_ms);
            }
            let view = log.view(window, now_ms);
            let expected = [u64::from(admits), u64::from(view.remaining), view.reset_ms, view.retry_after_ms];
            let answer = take(&script, &mut connection, window, now_ms).await;
            assert_eq!(answer, expected, "{limit} in {length_ms} ms, step {step}");
        }
    }
}

#[tokio::test]
async fn a_client_that_obeys_retry_after_passes_in_redis() {
    let redis = Redis::start().await;
    let mut connection = redis.connection().await;
    let script = clocked(&without_expiry(&with_functions(TAKE)));
    let mut numbers = Numbers(9);
    for (limit, length_ms) in [(1, 2_000), (2, 2_000), (12, 60_000), (100, 1_000), (250, 86_400_000)] {
        connection.del::<_, ()>("count").await.unwrap();
        let window = Window::new(NonZeroU32::new(limit).unwrap(), Duration::from_millis(length_ms));
        let mut now_ms = 1_800_000_000_000_u64;
        for _ in 0..600 {
            let answer = take(&script, &mut connection, window, now_ms).await;
            if answer[0] == 0 {
                assert!(answer[3] <= length_ms);
                now_ms += answer[3];
                assert_eq!(take(&script, &mut connection, window, now_ms).await[0], 1, "{limit} in {length_ms} ms");
            }
            now_ms += numbers.below(length_ms / u64::from(limit) / 2 + 1);
        }
    }
}

#[tokio::test]
async fn a_count_is_kept_for_two_windows() {
    let redis = Redis::start().await;
    let mut connection = redis.connection().await;
    let window = Window::new(NonZeroU32::MIN, Duration::from_secs(60));
    take(&clocked(&with_functions(TAKE)), &mut connection, window, 1_800_000_000_000).await;
    let left_ms: i64 = connection.pttl("count").await.unwrap();
    assert!((119_000..=120_000).contains(&left_ms), "{left_ms}");
}
