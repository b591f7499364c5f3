//! Rate limits by the generic cell rate algorithm (GCRA), with one `AtomicU64` per bucket.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::Mono;

/// A number of requests per time window; a burst of them may arrive at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    limit: NonZeroU32,
    burst: NonZeroU32,
    /// The time in which an empty bucket becomes full.
    fill_nanos: u64,
    interval_nanos: u64,
}

/// The state of a bucket after a request was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLevel {
    /// The number of requests per window.
    pub limit: u32,
    /// The number of requests that would be admitted now.
    pub remaining: u32,
    /// The time until the bucket is full again, or until the first request leaves the window.
    pub reset: Duration,
}

/// The rate limit is exceeded: the bucket is empty, or the window is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateExceeded {
    /// The number of requests per window.
    pub limit: u32,
    /// The time until one request may pass.
    pub retry_after: Duration,
    /// The time until the bucket is full again, or until the first request leaves the window.
    pub reset: Duration,
}

/// A bucket: the theoretical arrival time of the next request, in nanoseconds of the monotonic clock.
#[derive(Debug, Default)]
pub struct Bucket(AtomicU64);

impl Rate {
    /// Returns a rate of `limit` requests per `window` (the interval of requests is at least one nanosecond), all of
    /// which may arrive at once.
    #[must_use]
    pub fn new(limit: NonZeroU32, window: Duration) -> Self {
        let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let interval_nanos = nanos.div_ceil(u64::from(limit.get())).max(1);
        Self { limit, burst: limit, fill_nanos: nanos, interval_nanos }
    }

    /// Returns the same rate with another number of requests that may arrive at once.
    #[must_use]
    pub fn with_burst(self, burst: NonZeroU32) -> Self {
        let rate = Self { burst, ..self };
        if burst == self.limit { self } else { Self { fill_nanos: rate.burst_nanos(), ..rate } }
    }

    /// Returns a rate of `limit` requests per minute.
    #[must_use]
    pub fn per_minute(limit: NonZeroU32) -> Self {
        Self::new(limit, Duration::from_secs(60))
    }

    /// Returns the number of requests per window.
    #[must_use]
    pub const fn limit(self) -> u32 {
        self.limit.get()
    }

    /// Returns the number of requests that may arrive at once.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst.get()
    }

    /// Returns the time in which the bucket refills by one request, in nanoseconds; at least one.
    #[must_use]
    pub const fn interval_nanos(self) -> u64 {
        self.interval_nanos
    }

    /// Returns the part of one of `nodes`, at least one request at once. Its limit is still that of all nodes.
    #[must_use]
    pub fn share(self, nodes: NonZeroU32) -> Self {
        let burst = NonZeroU32::new(self.burst.get() / nodes).unwrap_or(NonZeroU32::MIN);
        let interval_nanos = self.interval_nanos.saturating_mul(u64::from(nodes.get()));
        let rate = Self { burst, interval_nanos, ..self };
        Self { fill_nanos: rate.burst_nanos(), ..rate }
    }

    /// Returns the maximum number of requests that pass within any window: a full bucket plus its refill.
    #[must_use]
    pub const fn most_in_window(self) -> u64 {
        self.burst.get() as u64 + self.limit.get() as u64
    }

    /// Returns the time in which the number of requests refills, to the nanosecond of an interval.
    #[must_use]
    pub const fn window(self) -> Duration {
        Duration::from_nanos(self.interval_nanos.saturating_mul(self.limit.get() as u64))
    }

    /// Returns the time in which an empty bucket becomes full.
    #[must_use]
    pub const fn refill(self) -> Duration {
        Duration::from_nanos(self.fill_nanos)
    }

    /// Returns the state of a bucket with this word, without counting a request.
    pub(crate) fn level(self, word: u64, now: Mono) -> RateLevel {
        let ahead = word.saturating_sub(now.0);
        let free = self.burst_nanos().saturating_sub(ahead) / self.interval_nanos;
        let remaining = u32::try_from(free).unwrap_or(u32::MAX);
        RateLevel { limit: self.limit.get(), remaining, reset: self.reset(ahead) }
    }

    /// Returns the time until the bucket is full: at most the window without another burst, which a full bucket's
    /// intervals may exceed by less than a nanosecond per request.
    fn reset(self, ahead_nanos: u64) -> Duration {
        Duration::from_nanos(ahead_nanos.min(self.fill_nanos))
    }

    fn burst_nanos(self) -> u64 {
        self.interval_nanos.saturating_mul(u64::from(self.burst.get()))
    }
}

impl Bucket {
    /// Admits one request, and takes its part from the bucket.
    ///
    /// # Errors
    /// [`RateExceeded`] if the bucket is empty; nothing is taken in that case.
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
                    reset: rate.reset(ahead - rate.interval_nanos),
                });
            }
            match self.0.compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    let remaining = u32::try_from((burst - ahead) / rate.interval_nanos).unwrap_or(u32::MAX);
                    return Ok(RateLevel { limit: rate.limit.get(), remaining, reset: rate.reset(ahead) });
                }
                Err(current) => word = current,
            }
        }
    }

    /// Returns the word of the bucket.
    pub(crate) const fn word(&self) -> &AtomicU64 {
        &self.0
    }

    /// Undoes one `take`, for a request that was not sent.
    pub fn give_back(&self, rate: Rate) {
        let back = |word: u64| Some(word.saturating_sub(rate.interval_nanos));
        // The closure never returns `None`, so the update cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
    }
}

#[cfg(test)]
mod tests;
