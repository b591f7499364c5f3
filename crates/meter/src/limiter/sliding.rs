//! A sliding window in one atomic word: the number of the window (24 bits), the requests in it and those in the previous
//! window (20 bits each, more than [`LIMIT_MAX`](crate::window::LIMIT_MAX)).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::Mono;

use crate::rate::{RateExceeded, RateLevel};
use crate::window::{LIMIT_MAX, Window, WindowCount, WindowView};

const COUNT_BITS: u32 = 20;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// The numbers of windows repeat after 2^24 windows: 194 days of windows of one second.
const INDEX_MASK: u64 = u64::MAX >> (2 * COUNT_BITS);

const _: () = assert!((LIMIT_MAX as u64) < COUNT_MASK);

/// Counts a request. Returns the level and the number of the window in which it counts.
pub(super) fn take(word: &AtomicU64, window: Window, now: Mono) -> Result<(RateLevel, u64), RateExceeded> {
    let mut packed = word.load(Ordering::Relaxed);
    loop {
        let view = view(packed, window, now);
        if !view.admits() {
            return Err(RateExceeded {
                limit: view.limit(),
                retry_after: Duration::from_millis(view.retry_after_ms()),
                reset: Duration::from_millis(view.reset_ms()),
            });
        }
        let view = view.counted();
        match word.compare_exchange_weak(packed, pack(view.count()), Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {
                let (remaining, reset) = (view.remaining(), Duration::from_millis(view.reset_ms()));
                return Ok((RateLevel { limit: view.limit(), remaining, reset }, view.count().index));
            }
            Err(current) => packed = current,
        }
    }
}

/// Removes a request that was counted in the window `index`.
pub(super) fn give_back(word: &AtomicU64, index: u64) {
    let without = |packed: u64| {
        let count = unpack(packed, index);
        let count = if count.index == index {
            WindowCount { current: count.current.saturating_sub(1), ..count }
        } else if count.index == index + 1 {
            WindowCount { previous: count.previous.saturating_sub(1), ..count }
        } else {
            count
        };
        Some(pack(count))
    };
    // The closure never returns `None`, so the update cannot fail.
    let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, without);
}

/// Returns the state without counting a request.
pub(super) fn level(word: &AtomicU64, window: Window, now: Mono) -> RateLevel {
    let view = view(word.load(Ordering::Relaxed), window, now);
    let reset = if view.remaining() == view.limit() { 0 } else { view.reset_ms() };
    RateLevel { limit: view.limit(), remaining: view.remaining(), reset: Duration::from_millis(reset) }
}

/// Returns the used part of the limit in units of 1 / 2³².
pub(super) fn fullness(word: &AtomicU64, window: Window, now: Mono) -> u64 {
    let view = view(word.load(Ordering::Relaxed), window, now);
    (u64::from(view.limit() - view.remaining()) << 32) / u64::from(view.limit())
}

fn view(packed: u64, window: Window, now: Mono) -> WindowView {
    let now_ms = now.0 / 1_000_000;
    unpack(packed, now_ms / window.length_ms()).at(window, now_ms)
}

/// Returns the count; of the windows that `packed` may mean, the one nearest to `index_now`. A new word counts in none.
fn unpack(packed: u64, index_now: u64) -> WindowCount {
    if packed == 0 {
        return WindowCount { index: index_now, ..WindowCount::default() };
    }
    let ahead = (packed >> (2 * COUNT_BITS)).wrapping_sub(index_now) & INDEX_MASK;
    let index = if ahead <= INDEX_MASK / 2 {
        index_now.saturating_add(ahead)
    } else {
        index_now.saturating_sub(INDEX_MASK + 1 - ahead)
    };
    let count = |shift: u32| u32::try_from(packed >> shift & COUNT_MASK).unwrap_or(u32::MAX);
    WindowCount { index, current: count(COUNT_BITS), previous: count(0) }
}

fn pack(count: WindowCount) -> u64 {
    let WindowCount { index, current, previous } = count;
    (index & INDEX_MASK) << (2 * COUNT_BITS) | u64::from(current) << COUNT_BITS | u64::from(previous)
}
