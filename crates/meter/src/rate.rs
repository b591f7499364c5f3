//! Rate limits by GCRA (the generic cell rate algorithm): one atomic word a bucket.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::Mono;

/// So many requests a window; the burst is as large as the window's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    limit: NonZeroU32,
    interval_nanos: u64,
}

/// What a bucket says after a request was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLevel {
    /// The window's count.
    pub limit: u32,
    /// What could still pass at once.
    pub remaining: u32,
    /// Until the bucket is full again.
    pub reset: Duration,
}

/// The bucket is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateExceeded {
    /// The window's count.
    pub limit: u32,
    /// Until one request may pass.
    pub retry_after: Duration,
    /// Until the bucket is full again.
    pub reset: Duration,
}

/// A bucket: the theoretical arrival time of the next request, in nanoseconds of the monotonic clock.
#[derive(Debug, Default)]
pub struct Bucket(AtomicU64);

impl Rate {
    /// `limit` requests in each `window` (at least a nanosecond a request).
    #[must_use]
    pub fn new(limit: NonZeroU32, window: Duration) -> Self {
        let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        Self { limit, interval_nanos: (nanos / u64::from(limit.get())).max(1) }
    }

    /// `limit` requests a minute.
    #[must_use]
    pub fn per_minute(limit: NonZeroU32) -> Self {
        Self::new(limit, Duration::from_secs(60))
    }

    /// How many one bucket lets in at most within any window: all that a full one holds, and what flows back meanwhile.
    #[must_use]
    pub const fn most_in_window(self) -> u64 {
        2 * self.limit.get() as u64
    }

    fn burst_nanos(self) -> u64 {
        self.interval_nanos.saturating_mul(u64::from(self.limit.get()))
    }
}

impl Bucket {
    /// Takes one request.
    ///
    /// # Errors
    /// [`RateExceeded`] when the limit is reached; nothing is taken then.
    pub fn take(&self, rate: Rate, now: Mono) -> Result<RateLevel, RateExceeded> {
        let burst = rate.burst_nanos();
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let next = word.max(now.0).saturating_add(rate.interval_nanos);
            let ahead = next - now.0;
            if ahead > burst {
                return Err(RateExceeded {
                    limit: rate.limit.get(),
                    retry_after: Duration::from_nanos(ahead - burst),
                    reset: Duration::from_nanos(ahead - rate.interval_nanos),
                });
            }
            match self.0.compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    let remaining = u32::try_from((burst - ahead) / rate.interval_nanos).unwrap_or(u32::MAX);
                    return Ok(RateLevel { limit: rate.limit.get(), remaining, reset: Duration::from_nanos(ahead) });
                }
                Err(current) => word = current,
            }
        }
    }

    /// Gives one request back that was taken and not made.
    pub fn give_back(&self, rate: Rate) {
        let back = |word: u64| Some(word.saturating_sub(rate.interval_nanos));
        // The closure never answers `None`, so the update cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
    }
}

#[cfg(test)]
mod tests;
