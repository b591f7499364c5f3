//! Ratios as decimals of at most four places, made from integers.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The number of parts of one.
const ONE: i64 = 10_000;
/// The largest ratio that is read or made.
const MAX: i64 = 1_000_000 * ONE;

/// A ratio in ten-thousandths. In JSON it is a decimal number of at most four places, such as `0.41`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ratio(pub i64);

impl Ratio {
    /// The ratio of equal numbers.
    pub const ONE: Self = Self(ONE);
    /// The largest ratio that is made or read.
    pub const MAX: Self = Self(MAX);

    /// Returns `part / whole`, rounded down, and zero if `whole` is zero.
    #[must_use]
    pub fn new(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Self(0);
        }
        let parts = i128::from(part) * i128::from(ONE) / i128::from(whole);
        Self(i64::try_from(parts).unwrap_or(MAX).min(MAX))
    }
}

impl Serialize for Ratio {
    #[expect(clippy::cast_precision_loss, reason = "ratios have at most ten digits before and four after the point")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % ONE == 0 {
            return serializer.serialize_i64(self.0 / ONE);
        }
        serializer.serialize_f64(self.0 as f64 / ONE as f64)
    }
}

impl<'de> Deserialize<'de> for Ratio {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "the range is checked before")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts = f64::deserialize(deserializer)? * ONE as f64;
        let rounded = parts.round();
        if rounded.abs() > MAX as f64 || (parts - rounded).abs() > 1e-3 {
            return Err(D::Error::custom("a ratio is a decimal number with at most four places"));
        }
        Ok(Self(rounded as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_decimals_of_at_most_four_places() {
        for (ratio, text) in
            [(0, "0"), (4_100, "0.41"), (10_000, "1"), (54_000, "5.4"), (3_333, "0.3333"), (-1, "-0.0001")]
        {
            assert_eq!(serde_json::to_string(&Ratio(ratio)).unwrap(), text);
            assert_eq!(serde_json::from_str::<Ratio>(text).unwrap(), Ratio(ratio));
        }
        assert!(serde_json::from_str::<Ratio>("0.12345").is_err());
        assert!(serde_json::from_str::<Ratio>("1e300").is_err());
        assert_eq!(Ratio::new(1, 3), Ratio(3_333));
        assert_eq!(Ratio::new(1, 0), Ratio(0));
        assert_eq!(Ratio::new(u64::MAX, 1), Ratio(MAX));
    }
}
