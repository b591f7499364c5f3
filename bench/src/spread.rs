//! The distribution of durations: median, 99th percentile, maximum.

use std::fmt;
use std::time::Duration;

/// Durations in ascending order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spread(Vec<Duration>);

impl Spread {
    pub(crate) fn of(mut durations: Vec<Duration>) -> Self {
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
    fn percentiles_are_by_rank() {
        let spread = Spread::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!([50, 99, 100].map(|percent| spread.percentile(percent).as_millis()), [100, 198, 200]);
        assert_eq!(Spread::of(vec![Duration::from_secs(1)]).percentile(50), Duration::from_secs(1));
        assert_eq!(Spread::default().percentile(99), Duration::ZERO);
    }
}
