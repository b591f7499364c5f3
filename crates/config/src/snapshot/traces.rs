//! The section `traces` of the file.

use std::time::Duration;

use access::Secret;

use super::Origin;

/// The export of traces to a receiver of OTLP.
#[derive(Debug, Clone)]
pub struct Traces {
    /// The receiver, with the path of its endpoint.
    pub receiver: Origin,
    /// Additional headers of requests to the receiver.
    pub headers: Vec<(String, Secret)>,
    /// The share of requests that are sampled.
    pub sample: TraceSample,
    /// Whether a request is sampled if its client has sampled the trace.
    pub parent: bool,
    /// Whether requests that failed are exported although they were not sampled.
    pub errors: bool,
    /// The duration from which requests are exported although they were not sampled.
    pub slow: Option<Duration>,
    /// Maximum number of requests whose spans wait for the receiver.
    pub queue_max: usize,
}

/// A share of all traces, which the id of a trace belongs to or not. All services with the same share select the same
/// traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceSample(u32);

impl TraceSample {
    /// All traces, in parts per million.
    pub const PPM_MAX: u32 = 1_000_000;

    /// Returns a share in parts per million; more than all is all.
    #[must_use]
    pub const fn of_ppm(ppm: u32) -> Self {
        Self(if ppm > Self::PPM_MAX { Self::PPM_MAX } else { ppm })
    }

    /// Returns the share in parts per million.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// Returns whether the share contains the trace. Only the last seven bytes of the id decide: they are random also in ids
    /// that begin with a time (W3C Trace Context Level 2, "Random Trace ID Flag").
    #[must_use]
    pub fn contains(self, trace_id: [u8; 16]) -> bool {
        const RANDOM_BITS: u32 = 56;
        let random = u128::from_be_bytes(trace_id) & ((1 << RANDOM_BITS) - 1);
        // The highest values are selected, as OpenTelemetry's samplers do.
        let rejected = u128::from(Self::PPM_MAX - self.0) << RANDOM_BITS;
        random * u128::from(Self::PPM_MAX) >= rejected && self.0 > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_seven_bytes_of_an_id_decide() {
        let id = |prefix: u8, last: u64| (u128::from(prefix) << 120 | u128::from(last)).to_be_bytes();
        let whole = (1_u64 << 56) - 1;
        for (ppm, last, expected) in [
            (0, 0, false),
            (0, whole, false),
            (1_000_000, 0, true),
            (1_000_000, whole, true),
            (1, whole, true),
            (1, whole / 2, false),
            (500_000, 1 << 55, true),
            (500_000, (1 << 55) - 1, false),
            (10_000, whole / 100 * 99 + 100, true),
            (10_000, whole / 100 * 98, false),
        ] {
            for prefix in [0, 0xff] {
                assert_eq!(TraceSample::of_ppm(ppm).contains(id(prefix, last)), expected, "{ppm} {last}");
            }
        }
        assert_eq!(TraceSample::of_ppm(2_000_000).ppm(), TraceSample::PPM_MAX);
    }
}
