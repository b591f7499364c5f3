//! The expected latency of a backend: an exponentially weighted moving average that follows increases at once (Peak EWMA, as
//! in Finagle).

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// The time after which an observation weighs 1/e, in milliseconds.
const DECAY_MS: f64 = 10_000.0;
/// The least latency that an attempt without a response counts as, in microseconds: a backend that fails quickly must not
/// look fast.
const FAILED_US: f64 = 1_000_000.0;

/// The average of one backend, over all workers. Two workers that write at once lose one of their observations.
#[derive(Debug)]
pub(crate) struct PeakEwma {
    begin: Instant,
    /// The average in microseconds, as the bits of an `f64`.
    average: AtomicU64,
    /// The time of the last observation, in milliseconds since `begin`.
    seen_ms: AtomicU64,
}

impl PeakEwma {
    pub(crate) fn new(begin: Instant) -> Self {
        Self { begin, average: AtomicU64::new(0), seen_ms: AtomicU64::new(0) }
    }

    /// Notes the time until the head of a response, in microseconds.
    pub(crate) fn note(&self, latency_us: u64, now: Instant) {
        self.observe(latency_us as f64, now);
    }

    /// Notes an attempt that failed.
    pub(crate) fn note_failure(&self, now: Instant) {
        self.observe(self.average().max(FAILED_US), now);
    }

    fn observe(&self, latency: f64, now: Instant) {
        let average = self.average();
        let old = self.weight(now);
        let next = if latency >= average { latency } else { average * old + latency * (1.0 - old) };
        self.average.store(next.to_bits(), Ordering::Relaxed);
        self.seen_ms.store(self.elapsed_ms(now), Ordering::Relaxed);
    }

    /// Returns the average in microseconds at `now`: without observations it approaches 0, so that a backend that was slow is
    /// tried again.
    pub(crate) fn average_at(&self, now: Instant) -> f64 {
        self.average() * self.weight(now)
    }

    fn average(&self) -> f64 {
        f64::from_bits(self.average.load(Ordering::Relaxed))
    }

    /// Returns the weight of the observations before `now`, from 1 to 0.
    fn weight(&self, now: Instant) -> f64 {
        let idle_ms = self.elapsed_ms(now).saturating_sub(self.seen_ms.load(Ordering::Relaxed));
        (-(idle_ms as f64) / DECAY_MS).exp()
    }

    fn elapsed_ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.begin).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn increases_count_at_once_and_decreases_slowly() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let average = PeakEwma::new(begin);
        assert_eq!(average.average_at(at(5)), 0.0);
        average.note(2_000, at(10));
        average.note(50_000, at(20));
        assert_eq!(average.average_at(at(20)), 50_000.0);
        average.note(2_000, at(1_020));
        let after_1_s = average.average_at(at(1_020));
        assert!((45_000.0..46_000.0).contains(&after_1_s), "{after_1_s}");
        assert!((after_1_s * 0.36..after_1_s * 0.37).contains(&average.average_at(at(11_020))));
    }

    #[test]
    fn a_failure_looks_slow() {
        let begin = Instant::now();
        let average = PeakEwma::new(begin);
        average.note(500, begin);
        average.note_failure(begin);
        assert_eq!(average.average_at(begin), 1_000_000.0);
    }
}
