//! Histograms of durations without a lock: prometheus-client's histogram locks a mutex for each observation.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

const MICROS_PER_SECOND: f64 = 1_000_000.0;

/// Upper bounds of the buckets in microseconds: from half a millisecond (Tollgate's overhead) to ten minutes (an LLM
/// call).
const BOUNDS_US: [u64; 18] = [
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    600_000_000,
];

/// A histogram of durations, shown in seconds. Clones share the same buckets.
#[derive(Debug, Clone, Default)]
pub struct Histogram(Arc<HistogramCells>);

/// A histogram of durations that one thread observes and others read: an observation needs no atomic read-modify-write.
#[derive(Debug, Default)]
pub struct WorkerHistogram(HistogramCells);

/// Returns the upper bound of the bucket of a duration in microseconds, in seconds as it is written.
#[expect(clippy::cast_precision_loss, reason = "seconds are shown as a float; the bounds are small")]
pub(super) fn upper_bound(micros: u64) -> String {
    let bound = BOUNDS_US.get(BOUNDS_US.partition_point(|bound| *bound < micros));
    bound.map_or_else(|| "+Inf".to_owned(), |bound| format!("{:?}", *bound as f64 / MICROS_PER_SECOND))
}

/// The number of buckets, with the one above all bounds.
const BUCKETS: usize = BOUNDS_US.len() + 1;

#[derive(Debug, Default)]
struct HistogramCells {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Histogram {
    /// Counts one duration in its bucket.
    pub fn observe(&self, duration: Duration) {
        self.observe_us(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts one duration in microseconds.
    pub fn observe_us(&self, micros: u64) {
        if let Some(bucket) = self.0.bucket(micros) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.0.sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    /// Returns the number of durations in each bucket, and their sum.
    #[must_use]
    pub fn counts(&self) -> HistogramCounts {
        self.0.counts()
    }
}

impl WorkerHistogram {
    /// Counts one duration in microseconds. If several threads call it at once, durations are lost.
    pub fn observe_us(&self, micros: u64) {
        let raise =
            |count: &AtomicU64, by| count.store(count.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
        if let Some(bucket) = self.0.bucket(micros) {
            raise(bucket, 1);
        }
        raise(&self.0.sum_us, micros);
    }

    /// Returns the number of durations in each bucket, and their sum.
    #[must_use]
    pub fn counts(&self) -> HistogramCounts {
        self.0.counts()
    }
}

impl HistogramCells {
    /// Returns the first bucket that contains the duration.
    fn bucket(&self, micros: u64) -> Option<&AtomicU64> {
        self.buckets.get(BOUNDS_US.partition_point(|bound| *bound < micros))
    }

    fn counts(&self) -> HistogramCounts {
        let mut counts = HistogramCounts { sum_us: self.sum_us.load(Ordering::Relaxed), ..HistogramCounts::default() };
        let buckets = counts.buckets.iter_mut().zip(&self.buckets);
        buckets.for_each(|(count, bucket)| *count = bucket.load(Ordering::Relaxed));
        counts
    }
}

/// The number of durations in each bucket of one or several histograms, and the sum of the durations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HistogramCounts {
    buckets: [u64; BUCKETS],
    sum_us: u64,
}

impl HistogramCounts {
    /// Adds the durations of `other`.
    pub fn add(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(count, more)| *count = count.wrapping_add(more));
        self.sum_us = self.sum_us.wrapping_add(other.sum_us);
    }

    /// Returns the number of durations.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Returns the mean in microseconds; `None` without durations.
    #[must_use]
    pub fn mean_us(&self) -> Option<u64> {
        self.sum_us.checked_div(self.total())
    }

    /// Writes the histogram in seconds.
    #[expect(clippy::cast_precision_loss, reason = "seconds are shown as a float; 2^53 microseconds are 285 years")]
    pub(super) fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let mut buckets = [(f64::MAX, 0); BUCKETS];
        let bounds = BOUNDS_US.into_iter().map(|bound| bound as f64 / MICROS_PER_SECOND).chain([f64::MAX]);
        for ((bucket, bound), count) in buckets.iter_mut().zip(bounds).zip(self.buckets) {
            *bucket = (bound, count);
        }
        let sum = self.sum_us as f64 / MICROS_PER_SECOND;
        encoder.encode_histogram::<NoLabelSet>(sum, self.total(), &buckets, None)
    }

    /// Returns a percentile in microseconds, interpolated within its bucket as Prometheus does; `None` without durations. A
    /// percentile above all buckets is the largest bound.
    #[must_use]
    pub fn percentile_us(&self, percent: u64) -> Option<u64> {
        let total = u128::from(self.total());
        if total == 0 {
            return None;
        }
        // The rank in hundredths of a duration.
        let rank = total * u128::from(percent);
        let mut before = 0_u128;
        let mut from = 0_u64;
        for (bound, count) in BOUNDS_US.iter().zip(self.buckets) {
            let count = u128::from(count) * 100;
            if count > 0 && before + count >= rank {
                let part = u128::from(bound - from) * (rank - before) / count;
                return Some(from + u64::try_from(part).unwrap_or(0));
            }
            (before, from) = (before + count, *bound);
        }
        Some(from)
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        self.counts().encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn percentiles_are_interpolated_within_their_bucket() {
        let histogram = Histogram::default();
        assert_eq!(histogram.counts().percentile_us(50), None);
        for micros in [600, 700, 800, 900] {
            histogram.observe_us(micros);
        }
        let mut counts = histogram.counts();
        assert_eq!((counts.total(), counts.percentile_us(50), counts.percentile_us(100)), (4, Some(750), Some(1_000)));
        histogram.observe_us(900_000_000);
        counts.add(&histogram.counts());
        assert_eq!((counts.total(), counts.percentile_us(95)), (9, Some(600_000_000)));
    }

    #[test]
    fn the_histogram_of_a_worker_counts_as_a_shared_one_does() {
        let worker = WorkerHistogram::default();
        let shared = Histogram::default();
        assert_eq!(worker.counts().mean_us(), None);
        for micros in [0, 500, 501, 600_000_001, u64::MAX] {
            worker.observe_us(micros);
            shared.observe_us(micros);
        }
        assert_eq!(worker.counts(), shared.counts());
        let few = Histogram::default();
        [600, 700].into_iter().for_each(|micros| few.observe_us(micros));
        assert_eq!(few.counts().mean_us(), Some(650));
    }

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_contains_it() {
        let histogram = Histogram::default();
        for micros in [0, 500, 501, 600_000_000, 600_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut registry = Registry::default();
        registry.register("wait_seconds", "Wait", histogram);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "wait_seconds_bucket{le=\"0.0005\"} 2",
            "wait_seconds_bucket{le=\"0.001\"} 3",
            "wait_seconds_bucket{le=\"300.0\"} 3",
            "wait_seconds_bucket{le=\"600.0\"} 4",
            "wait_seconds_bucket{le=\"+Inf\"} 5",
            "wait_seconds_count 5",
            "wait_seconds_sum 1200.001002",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
