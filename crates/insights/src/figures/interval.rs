//! Intervals of a normal distribution.

use crate::figures::ratio::Ratio;

/// Parts of outcomes inside of an interval, and the factor of its standard deviation, both in ten-thousandths.
const FACTORS: [(i64, i128); 5] = [(5_000, 6_745), (8_000, 12_816), (9_000, 16_449), (9_500, 19_600), (9_900, 25_758)];

/// Returns the factor of the standard deviation in ten-thousandths; `None` for an interval that cannot be computed.
#[must_use]
pub fn factor(part: Ratio) -> Option<i128> {
    FACTORS.iter().find(|(known, _)| *known == part.0).map(|(_, factor)| *factor)
}

/// Whether an interval of this part can be computed.
#[must_use]
pub fn is_interval(part: Ratio) -> bool {
    factor(part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_intervals_can_be_computed() {
        assert!(is_interval(Ratio(8_000)) && !is_interval(Ratio(8_001)) && !is_interval(Ratio(0)));
    }
}
