//! The project's targets, and the verdict on a figure.

use std::fmt;

use serde::Serialize;

use crate::median::MedianInterval;

/// The maximum of a figure. `must` is required, `aim` is intended.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub(crate) struct Target {
    pub(crate) must: Option<f64>,
    pub(crate) aim: Option<f64>,
}

/// Whether a figure meets its target. The whole interval decides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) enum Verdict {
    /// The figure has no target.
    None,
    AimMet,
    Met,
    /// The interval contains the target.
    Uncertain,
    /// The median exceeds the target by this share of it.
    Missed(f64),
}

impl Target {
    pub(crate) const NONE: Self = Self { must: None, aim: None };

    pub(crate) const fn must(must: f64) -> Self {
        Self { must: Some(must), aim: None }
    }

    pub(crate) const fn aiming(self, aim: f64) -> Self {
        Self { aim: Some(aim), ..self }
    }

    /// The verdict on a figure. Without `must`, the aim decides.
    pub(crate) fn judge(self, figure: MedianInterval) -> Verdict {
        let MedianInterval { median, low, high } = figure;
        let Some(required) = self.must.or(self.aim) else { return Verdict::None };
        if self.aim.is_some_and(|aim| high <= aim) {
            Verdict::AimMet
        } else if high <= required {
            Verdict::Met
        } else if low <= required {
            Verdict::Uncertain
        } else {
            Verdict::Missed(median / required - 1.0)
        }
    }
}

impl Target {
    /// The text of the verdict for the report; small measurements are not results.
    pub(crate) fn verdict(self, figure: Option<MedianInterval>, is_result: bool) -> String {
        match figure {
            _ if self == Self::NONE => String::new(),
            _ if !is_result => String::from("no result"),
            None => String::from("not measured"),
            Some(figure) => self.judge(figure).to_string(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell = |maximum: Option<f64>| maximum.map(|maximum| maximum.to_string()).unwrap_or_default();
        write!(f, "{} | {}", cell(self.must), cell(self.aim))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::AimMet => f.write_str("met, also the aim"),
            Self::Met => f.write_str("met"),
            Self::Uncertain => f.write_str("uncertain"),
            Self::Missed(share) => write!(f, "missed by {:.0}%", share * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_interval_decides() {
        let target = Target::must(1.0).aiming(0.5);
        let check = |low: f64, median: f64, high: f64, expected: &str| {
            assert_eq!(target.judge(MedianInterval { median, low, high }).to_string(), expected);
        };
        check(0.3, 0.4, 0.5, "met, also the aim");
        check(0.3, 0.4, 0.6, "met");
        check(0.8, 0.9, 1.0, "met");
        check(0.8, 0.9, 1.1, "uncertain");
        check(1.0, 1.1, 1.2, "uncertain");
        check(1.1, 1.22, 1.3, "missed by 22%");
    }

    #[test]
    fn an_aim_alone_decides_and_no_target_has_no_verdict() {
        let figure = MedianInterval { median: 0.9, low: 0.8, high: 1.0 };
        assert_eq!(Target::NONE.aiming(0.5).judge(figure), Verdict::Missed(0.9 / 0.5 - 1.0));
        assert_eq!(Target::NONE.aiming(1.0).judge(figure), Verdict::AimMet);
        assert_eq!(Target::NONE.judge(figure), Verdict::None);
    }
}
