//! Memory, descriptors, and the latency of one client, which must not grow during the load; measured once a second.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::{Call, Vitals};
use tokio::time::{Instant, sleep_until};

use super::table::Table;
use crate::storms::rounds::tell;

const PERIOD: Duration = Duration::from_secs(1);
/// A slope is that of the percentiles of this many blocks, so that single peaks do not change it.
const BLOCKS: usize = 20;
/// Fewer samples (five minutes) say nothing about a slope.
const SAMPLES_MIN: usize = 300;
/// At most one in this many samples may have no response, or another status than 200.
const REFUSED_ONE_IN: usize = 100;
/// A slope is noise up to this multiple of its standard error.
const ERRORS: f64 = 4.0;
/// The growth that buffers and pools may need: memory in KiB, and files.
const MEMORY_KIB: f64 = 16.0 * 1024.0;
const FILES: f64 = 32.0;
/// The growth of the latency that is no fault, in milliseconds.
const LATENCY_MS: f64 = 5.0;

/// The samples of a load.
#[derive(Debug, Default)]
pub(super) struct Samples {
    memory_kib: Vec<f64>,
    descriptors: Vec<f64>,
    latency_ms: Vec<f64>,
    unanswered: usize,
    /// Responses with another status than 200, whose latencies are not of the same work.
    refused: usize,
}

/// How much a figure grows over all samples, and how much of it is noise.
#[derive(Debug, Clone, Copy)]
struct Growth {
    first: f64,
    by: f64,
    noise: f64,
}

/// Measures a server, and the latency of a request to it on a new connection, while a load runs. The table has a row for
/// each part of it.
pub(super) async fn sampled(
    vitals: Vitals,
    probe: &Call,
    to: SocketAddr,
    duration: Duration,
    mut table: Table,
) -> Samples {
    let mut samples = Samples::default();
    let began = Instant::now();
    let mut due = began;
    while began.elapsed() < duration {
        let memory_kib = (vitals.memory_bytes() >> 10) as f64;
        let descriptors = vitals.descriptor_targets().len() as f64;
        let sent = Instant::now();
        let mut latency_ms = None;
        match probe.attempt(to).await {
            Ok(exchange) => match exchange.rest().await.status() {
                200 => latency_ms = Some(sent.elapsed().as_secs_f64() * 1_000.0),
                _ => samples.refused += 1,
            },
            Err(_) => samples.unanswered += 1,
        }
        samples.add([memory_kib, descriptors], latency_ms);
        table.note(began.elapsed(), &samples);
        due += PERIOD;
        sleep_until(due).await;
    }
    samples
}

impl Samples {
    /// Adds the memory in KiB, the descriptors, and the latency of a response with status 200.
    pub(super) fn add(&mut self, [memory_kib, descriptors]: [f64; 2], latency_ms: Option<f64>) {
        self.memory_kib.push(memory_kib);
        self.descriptors.push(descriptors);
        self.latency_ms.extend(latency_ms);
    }

    /// Returns the numbers of samples of each kind.
    pub(super) fn counts(&self) -> [usize; 3] {
        [self.memory_kib.len(), self.descriptors.len(), self.latency_ms.len()]
    }

    /// Returns memory, descriptors and latencies after these numbers of them.
    pub(super) fn since(&self, [memory, descriptors, latency]: [usize; 3]) -> [&[f64]; 3] {
        [&self.memory_kib[memory..], &self.descriptors[descriptors..], &self.latency_ms[latency..]]
    }

    /// Returns the number of requests without a response with status 200.
    pub(super) fn without_200(&self) -> usize {
        self.unanswered + self.refused
    }

    /// Prints how much each figure grows. In a load that is long enough, growth beyond noise and too few responses fail.
    pub(super) fn assert_flat(&self) {
        let count = self.memory_kib.len();
        let unanswered = self.unanswered;
        let refused = self.refused;
        tell(&format!(
            "{count} samples, {unanswered} requests without a response, {refused} with another status than 200"
        ));
        assert!(
            count < SAMPLES_MIN || self.without_200() * REFUSED_ONE_IN <= count,
            "of {count} samples, {unanswered} have no response, and {refused} another status than 200"
        );
        let mut grown = Vec::new();
        for (name, values, percent, allowed) in [
            ("memory, KiB (median)", &self.memory_kib, 50, MEMORY_KIB),
            ("descriptors (median)", &self.descriptors, 50, FILES),
            ("latency, ms (median)", &self.latency_ms, 50, LATENCY_MS),
            ("latency, ms (95th percentile)", &self.latency_ms, 95, LATENCY_MS * 4.0),
        ] {
            let Some(growth) = growth(values, percent) else { continue };
            let Growth { first, by, noise } = growth;
            tell(&format!("{name}: {first:.1} at first, grows by {by:.1}, noise is {noise:.1}"));
            if growth.is_beyond(allowed) {
                grown.push(name);
            }
        }
        assert!(count < SAMPLES_MIN || grown.is_empty(), "beyond noise grow: {grown:?}");
    }
}

impl Growth {
    fn is_beyond(self, allowed: f64) -> bool {
        self.by > allowed && self.by > self.noise
    }
}

/// Fits a line to the percentiles of blocks; `None` for fewer than two samples in each.
fn growth(values: &[f64], percent: usize) -> Option<Growth> {
    if values.len() < 2 * BLOCKS {
        return None;
    }
    let blocks: Vec<f64> = values.chunks_exact(values.len() / BLOCKS).map(|block| percentile(block, percent)).collect();
    let count = blocks.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = blocks.iter().sum::<f64>() / count;
    let points = || blocks.iter().enumerate().map(|(nth, value)| (nth as f64 - middle, value - mean));
    let spread: f64 = points().map(|(x, _)| x * x).sum();
    let slope = points().map(|(x, y)| x * y).sum::<f64>() / spread;
    let residual: f64 = points().map(|(x, y)| (y - slope * x).powi(2)).sum();
    let error = (residual / (count - 2.0) / spread).sqrt();
    Some(Growth { first: *blocks.first()?, by: slope * (count - 1.0), noise: ERRORS * error * (count - 1.0) })
}

pub(super) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[(sorted.len() * percent).div_ceil(100) - 1]
}

/// Values about 1,000 that differ by at most 500, with some that are far higher.
fn noisy(count: u32, slope: f64) -> Vec<f64> {
    let peak = |nth: u32| if nth.is_multiple_of(97) { 9_000.0 } else { 0.0 };
    (0..count).map(|nth| f64::from(500 + nth * 7_919 % 1_001) + peak(nth) + f64::from(nth) * slope).collect()
}

#[test]
fn noise_and_peaks_are_no_slope() {
    for percent in [50, 95] {
        let growth = growth(&noisy(600, 0.0), percent).unwrap();
        assert!(!growth.is_beyond(100.0), "{growth:?}");
    }
}

#[test]
fn growth_of_half_the_noise_is_a_slope() {
    let growth = growth(&noisy(6_000, 500.0 / 6_000.0), 50).unwrap();
    assert!(growth.is_beyond(100.0) && (400.0..600.0).contains(&growth.by), "{growth:?}");
}
