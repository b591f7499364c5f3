//! Percentiles of durations from a histogram.

use crate::brief::DayLatency;

/// Returns the percentiles of pairs of duration in milliseconds and number of requests, the shortest duration first. A
/// percentile is the shortest duration that is not exceeded by at least its part of the requests.
#[must_use]
pub fn latency(histogram: &[(u64, u64)]) -> DayLatency {
    let requests = histogram.iter().fold(0_u64, |sum, (_, requests)| sum.saturating_add(*requests));
    let percentile = |part: u128| {
        let place = (u128::from(requests) * part).div_ceil(100).max(1);
        let mut passed = 0_u128;
        histogram.iter().find_map(|(duration_ms, requests)| {
            passed += u128::from(*requests);
            (passed >= place && *requests > 0).then_some(*duration_ms)
        })
    };
    DayLatency { p50_ms: percentile(50), p95_ms: percentile(95), p99_ms: percentile(99), requests }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_durations_of_requests() {
        let told = |histogram: &[(u64, u64)]| {
            let DayLatency { p50_ms, p95_ms, p99_ms, requests } = latency(histogram);
            ([p50_ms, p95_ms, p99_ms], requests)
        };
        assert_eq!(told(&[]), ([None; 3], 0));
        assert_eq!(told(&[(7, 1)]), ([Some(7); 3], 1));
        let hundred: Vec<_> = (1..=100).map(|ms| (ms, 1)).collect();
        assert_eq!(told(&hundred), ([Some(50), Some(95), Some(99)], 100));
        assert_eq!(told(&[(1, 94), (9, 5), (90, 1)]), ([Some(1), Some(9), Some(9)], 100));
    }
}
