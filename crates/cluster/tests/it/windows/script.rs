//! The script in Redis and `meter::window` return the same results, at any time of any clock.

use std::num::NonZeroU32;
use std::time::Duration;

use meter::window::{Window, WindowCount};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Script};

use crate::redis::Redis;

const TEXT: &str = include_str!("../../../src/windows/take.lua");

/// Compiles `TEXT` with a clock that the test sets.
pub(super) fn clocked(text: &str) -> Script {
    let clock = "redis.call('TIME')";
    assert_eq!(text.matches(clock).count(), 1);
    Script::new(&text.replace(clock, "{ARGV[#ARGV - 1], ARGV[#ARGV]}"))
}

/// Compiles the script without expiry: the clock of Redis continues and would delete the counts.
fn script() -> Script {
    let expiry = "redis.call('PEXPIRE', key, 2 * length)";
    assert_eq!(TEXT.matches(expiry).count(), 1);
    clocked(&TEXT.replace(expiry, ""))
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
    let (script, mut numbers) = (script(), Numbers(4));
    for (limit, length_ms) in [(1, 1), (1, 1_000), (3, 10), (100, 60_000), (7, 977), (1_000_000, 86_400_000)] {
        connection.del::<_, ()>("count").await.unwrap();
        let window = Window::new(NonZeroU32::new(limit).unwrap(), Duration::from_millis(length_ms));
        let (mut count, mut now_ms) = (WindowCount::default(), 1_800_000_000_000_u64);
        for step in 0..400 {
            // Mostly small steps forward; sometimes large ones, and steps back.
            now_ms = match numbers.below(20) {
                0 => now_ms + numbers.below(3 * length_ms),
                1 => now_ms - numbers.below(2 * length_ms),
                2 => now_ms + numbers.below(86_400_000 * 2),
                _ => now_ms + numbers.below(length_ms / u64::from(limit).min(20) + 2),
            };
            let view = count.at(window, now_ms);
            let admits = view.admits();
            let view = if admits { view.counted() } else { view };
            let WindowCount { index, current, previous } = view.count();
            let expected = [now_ms, u64::from(admits), index, u64::from(current), u64::from(previous)];
            let answer = take(&script, &mut connection, window, now_ms).await;
            assert_eq!(answer, expected, "{limit} in {length_ms} ms, step {step}");
            if admits {
                count = view.count();
            }
        }
    }
}

#[tokio::test]
async fn a_count_at_the_bounds_is_whole() {
    let redis = Redis::start().await;
    let mut connection = redis.connection().await;
    let window = Window::new(NonZeroU32::MAX, Duration::MAX);
    let script = script();
    let now_ms = 86_400_000 * 20_000 + 1;
    for (previous, current, admitted) in
        [(1_000_000, 0, 0), (999_999, 0, 1), (999_999, 1, 0), (0, 999_999, 1), (0, 1_000_000, 0)]
    {
        let fields = [("i", 20_000), ("c", current), ("p", previous)];
        connection.hset_multiple::<_, _, _, ()>("count", &fields).await.unwrap();
        let answer = take(&script, &mut connection, window, now_ms).await;
        assert_eq!(answer[1], admitted, "{previous} {current}");
        let count = WindowCount {
            index: 20_000,
            current: u32::try_from(current).unwrap(),
            previous: u32::try_from(previous).unwrap(),
        };
        assert_eq!(count.at(window, now_ms).admits(), admitted == 1, "{previous} {current}");
    }
}

#[tokio::test]
async fn a_count_is_kept_for_two_windows() {
    let redis = Redis::start().await;
    let mut connection = redis.connection().await;
    let window = Window::new(NonZeroU32::MIN, Duration::from_secs(60));
    take(&clocked(TEXT), &mut connection, window, 1_800_000_000_000).await;
    let left_ms: i64 = connection.pttl("count").await.unwrap();
    assert!((119_000..=120_000).contains(&left_ms), "{left_ms}");
}
