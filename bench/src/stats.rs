//! Medians with intervals, distributions of durations, and the targets of figures.

use std::fmt;
use std::time::Duration;

/// The probability that the interval may miss the true median.
const MISS_MAX: f64 = 0.05;

/// The name of the method in the report.
pub(crate) const METHOD: &str = "the median of the rounds, and its 95% interval by order statistics";

/// A median and its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MedianInterval {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl MedianInterval {
    /// The median of `values`; `None` without values, or if one is not finite. With fewer than six values no 95%
    /// interval exists, and the whole range is returned.
    pub(crate) fn from_values(mut values: Vec<f64>) -> Option<Self> {
        if values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let skipped = outside(values.len());
        let at = |place: usize| values.get(place).copied();
        let lower = at(count.checked_sub(1)? / 2)?;
        let upper = at(count / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), low: at(skipped)?, high: at(count - 1 - skipped)? })
    }

    /// The text for the report, with an interval unless all values are equal.
    pub(crate) fn text(self, decimals: usize) -> String {
        let Self { median, low, high } = self;
        let interval = if low < high { format!(" ({low:.decimals$} to {high:.decimals$})") } else { String::new() };
        format!("{median:.decimals$}{interval}")
    }
}

/// The number of values at each end that are outside of the interval.
fn outside(count: usize) -> usize {
    // P(X = 0) of the binomial distribution with probability 1/2; then P(X = k).
    let mut term = (0..count).fold(1.0_f64, |term, _| term / 2.0);
    let mut below = term;
    let mut skipped = 0;
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

/// The maximum of a figure. `must` is required, `aim` is intended.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Target {
    pub(crate) must: Option<f64>,
    pub(crate) aim: Option<f64>,
}

impl Target {
    pub(crate) const NONE: Self = Self { must: None, aim: None };

    pub(crate) const fn must(must: f64) -> Self {
        Self { must: Some(must), aim: None }
    }

    pub(crate) const fn aiming(self, aim: f64) -> Self {
        Self { aim: Some(aim), ..self }
    }

    /// The cells of a table: `must` and `aim`.
    pub(crate) fn cells(self) -> [String; 2] {
        [self.must, self.aim].map(|maximum| maximum.map(|maximum| maximum.to_string()).unwrap_or_default())
    }

    /// Whether a figure meets the target; the whole interval decides. Without `must`, the aim does. Small measurements are
    /// not results.
    pub(crate) fn verdict(self, figure: Option<MedianInterval>, is_result: bool) -> String {
        let Some(required) = self.must.or(self.aim) else { return String::new() };
        match figure {
            _ if !is_result => String::from("no result"),
            None => String::from("not measured"),
            Some(figure) if self.aim.is_some_and(|aim| figure.high <= aim) => String::from("met, also the aim"),
            Some(figure) if figure.high <= required => String::from("met"),
            Some(figure) if figure.low <= required => String::from("uncertain"),
            Some(figure) => format!("missed by {:.0}%", (figure.median / required - 1.0) * 100.0),
        }
    }
}

/// Durations in ascending order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spread(Vec<Duration>);

impl Spread {
    pub(crate) fn from_durations(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    /// The percentile; zero without durations.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(rank).copied().unwrap_or_default()
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |percent| self.percentile(percent).as_secs_f64() * 1_000.0;
        write!(f, "p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms of {}", ms(50), ms(99), ms(100), self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle_of_finite_values() {
        let median = |values: &[f64]| MedianInterval::from_values(values.to_vec()).map(|found| found.median);
        assert_eq!(
            [&[3.0, 1.0, 2.0][..], &[4.0, 1.0, 3.0, 2.0], &[7.0]].map(median),
            [Some(2.0), Some(2.5), Some(7.0)]
        );
        assert_eq!([&[][..], &[1.0, f64::INFINITY], &[1.0, f64::NAN]].map(median), [None; 3]);
    }

    #[test]
    fn intervals_have_the_ranks_of_the_sign_test() {
        // The published ranks of a 95% interval: none of 5, 1 and 6 of 6, 2 and 8 of 9, 3 and 10 of 12, 6 and 15 of 20,
        // 10 and 21 of 30.
        for (count, rank) in [(5, 1), (6, 1), (9, 2), (12, 3), (20, 6), (30, 10), (200, 86)] {
            let interval = MedianInterval::from_values((1..=count).map(f64::from).rev().collect()).unwrap();
            assert_eq!((interval.low, interval.high), (f64::from(rank), f64::from(count + 1 - rank)), "{count}");
        }
    }

    #[test]
    fn the_whole_interval_decides() {
        let both = Target::must(1.0).aiming(0.5);
        let aim = Target::NONE.aiming(1.0);
        for (target, low, median, high, expected) in [
            (both, 0.3, 0.4, 0.5, "met, also the aim"),
            (both, 0.3, 0.4, 0.6, "met"),
            (both, 0.8, 0.9, 1.0, "met"),
            (both, 0.8, 0.9, 1.1, "uncertain"),
            (both, 1.0, 1.1, 1.2, "uncertain"),
            (both, 1.1, 1.22, 1.3, "missed by 22%"),
            (aim, 1.6, 1.8, 2.0, "missed by 80%"),
            (aim, 0.8, 0.9, 1.0, "met, also the aim"),
            (Target::NONE, 0.8, 0.9, 1.0, ""),
        ] {
            assert_eq!(target.verdict(Some(MedianInterval { median, low, high }), true), expected);
        }
        assert_eq!(
            (both.verdict(None, true).as_str(), both.verdict(None, false).as_str()),
            ("not measured", "no result")
        );
    }

    #[test]
    fn percentiles_are_by_rank() {
        let spread = Spread::from_durations((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!([50, 99, 100].map(|percent| spread.percentile(percent).as_millis()), [100, 198, 200]);
        assert_eq!(Spread::from_durations(vec![Duration::from_secs(1)]).percentile(50), Duration::from_secs(1));
        assert_eq!(Spread::default().percentile(99), Duration::ZERO);
    }
}
