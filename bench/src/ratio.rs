//! The ratio of two costs over interleaved pairs, with its 95% interval: Student's t on the logarithms of the pairs'
//! ratios.

use serde::Serialize;

/// The two-sided 95% quantile of Student's t, from 1 degree of freedom. Beyond the table, the last value is slightly
/// too wide.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// The name of the method in the report.
pub(crate) const METHOD: &str = "Student's t on the log-ratios of the pairs, 95%, two-sided";

/// A geometric mean and its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Ratio {
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Ratio {
    /// The ratio of pairs `(first, second)`; `None` for fewer than two pairs, or if a cost is not positive and finite.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred pairs")]
    pub(crate) fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let t = *T.get(pairs.len().checked_sub(2)?.min(T.len() - 1))?;
        let has_ratio = |cost: f64| cost.is_finite() && cost > 0.0;
        if !pairs.iter().all(|(first, second)| has_ratio(*first) && has_ratio(*second)) {
            return None;
        }
        let logs: Vec<f64> = pairs.iter().map(|(first, second)| (first / second).ln()).collect();
        let count = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / count;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let half = t * (variance / count).sqrt();
        Some(Self { mean: mean.exp(), low: (mean - half).exp(), high: (mean + half).exp() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-3, "{found} is not {expected}");
    }

    #[test]
    fn equal_pairs_have_no_spread() {
        let ratio = Ratio::of(&[(3.0, 2.0), (6.0, 4.0), (1.5, 1.0)]).unwrap();
        near(ratio.mean, 1.5);
        near(ratio.high - ratio.low, 0.0);
    }

    #[test]
    fn interval_is_students() {
        // Logs 0 and ln 2: mean ln 2 / 2, standard error ln 2 / 2, t(1) = 12.706.
        let ratio = Ratio::of(&[(1.0, 1.0), (2.0, 1.0)]).unwrap();
        near(ratio.mean, 2_f64.sqrt());
        near(ratio.high.ln(), 2_f64.ln() / 2.0 * 13.706);
        near(ratio.low.ln(), -2_f64.ln() / 2.0 * 11.706);
    }

    #[test]
    fn too_few_or_free_runs_have_no_ratio() {
        assert_eq!(Ratio::of(&[(1.0, 1.0)]), None);
        assert_eq!(Ratio::of(&[(1.0, 1.0), (0.0, 1.0)]), None);
        assert_eq!(Ratio::of(&[(1.0, 1.0), (1.0, f64::NAN)]), None);
    }
}
