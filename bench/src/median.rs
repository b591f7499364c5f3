//! The median of repeated measurements, with its 95% interval by order statistics, which assumes no distribution.

use serde::Serialize;

/// The probability that the interval may miss the true median.
const MISS_MAX: f64 = 0.05;

/// The name of the method in the report.
pub(crate) const METHOD: &str = "the median of the rounds, and its 95% interval by order statistics";

/// A median and its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct MedianInterval {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl MedianInterval {
    /// The median of `values`; `None` without values, or if one is not finite. With fewer than six values no 95%
    /// interval exists, and the whole range is returned.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        if values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let (count, skipped) = (values.len(), outside(values.len()));
        let at = |place: usize| values.get(place).copied();
        let (lower, upper) = (at(count.checked_sub(1)? / 2)?, at(count / 2)?);
        Some(Self { median: f64::midpoint(lower, upper), low: at(skipped)?, high: at(count - 1 - skipped)? })
    }
}

/// The number of values at each end that are outside of the interval.
fn outside(count: usize) -> usize {
    // P(X = 0) of the binomial distribution with probability 1/2; then P(X = k).
    let mut term = (0..count).fold(1.0_f64, |term, _| term / 2.0);
    let (mut below, mut skipped) = (term, 0);
    while skipped * 2 < count {
        term *= float(count - skipped) / float(skipped + 1);
        if 2.0 * (below + term) > MISS_MAX {
            break;
        }
        below += term;
        skipped += 1;
    }
    skipped
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred rounds")]
const fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        let median = |values: &[f64]| MedianInterval::of(values.to_vec()).unwrap().median;
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(&[4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-12);
        assert!((median(&[7.0]) - 7.0).abs() < 1e-12);
    }

    #[test]
    fn intervals_have_the_ranks_of_the_sign_test() {
        // The published ranks of a 95% interval: none of 5, 1 and 6 of 6, 2 and 8 of 9, 3 and 10 of 12, 6 and 15 of 20,
        // 10 and 21 of 30.
        for (count, rank) in [(5, 1), (6, 1), (9, 2), (12, 3), (20, 6), (30, 10), (200, 86)] {
            let interval = MedianInterval::of((1..=count).map(f64::from).rev().collect()).unwrap();
            assert_eq!((interval.low, interval.high), (f64::from(rank), f64::from(count + 1 - rank)), "{count}");
        }
    }

    #[test]
    fn nothing_and_not_finite_values_have_no_median() {
        assert_eq!(MedianInterval::of(Vec::new()), None);
        assert_eq!(MedianInterval::of(vec![1.0, f64::INFINITY]), None);
        assert_eq!(MedianInterval::of(vec![1.0, f64::NAN]), None);
    }
}
