//! Credits as text and in JSON: decimal numbers of credits with at most six places.

use std::fmt;

use serde::de::Visitor;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::amount::Credits;
use super::usd;

/// Decimal places of a credit.
const PLACES: usize = 6;

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&usd::written(self.0, PLACES))
    }
}

/// A JSON number with the exact digits. Formats of integers only, such as the records of the spool, have their own
/// fields.
impl Serialize for Credits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % Self::MICRO {
            0 => serializer.serialize_u64(self.rounded_down()),
            _ => RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer),
        }
    }
}

/// Readers of JSON pass a fraction as a binary number, whose shortest decimal text has the digits that were written, up to
/// nine billion credits.
impl<'de> Deserialize<'de> for Credits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CreditsVisitor)
    }
}

struct CreditsVisitor;

impl CreditsVisitor {
    fn parsed<E: serde::de::Error>(number: impl fmt::Display) -> Result<Credits, E> {
        usd::parse(&number.to_string(), PLACES).map(Credits).map_err(E::custom)
    }
}

impl Visitor<'_> for CreditsVisitor {
    type Value = Credits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of credits from 0, with at most 6 decimal places")
    }

    fn visit_u64<E: serde::de::Error>(self, credits: u64) -> Result<Credits, E> {
        Self::parsed(credits)
    }

    fn visit_f64<E: serde::de::Error>(self, credits: f64) -> Result<Credits, E> {
        Self::parsed(credits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_json_have_the_exact_digits_and_no_zeros_at_the_end() {
        for (micro, text) in [
            (0, "0"),
            (1, "0.000001"),
            (250_000, "0.25"),
            (1_000_000, "1"),
            (12_000_000, "12"),
            (1_100_000, "1.1"),
            (u64::MAX, "18446744073709.551615"),
        ] {
            let credits = Credits(micro);
            assert_eq!((credits.to_string(), serde_json::to_string(&credits).unwrap()), (text.into(), text.into()));
            if credits < Credits::MAX {
                assert_eq!(serde_json::from_str::<Credits>(text).unwrap(), credits);
            }
        }
        assert_eq!(format!("{:>6}|{:<4}|", Credits(1_500_000), Credits::whole(2)), "   1.5|2   |");
        assert_eq!(serde_json::json!({"credits": Credits(1_500_000)}).to_string(), r#"{"credits":1.5}"#);
        assert_eq!(serde_json::from_value::<Credits>(serde_json::json!(1.5)).unwrap(), Credits(1_500_000));
        for refused in ["-1", "0.0000001", "\"1\"", "99999999999999999999"] {
            assert!(serde_json::from_str::<Credits>(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn whole_credits_are_rounded_in_both_directions() {
        for (micro, down, up) in [(0, 0, 0), (1, 0, 1), (999_999, 0, 1), (1_000_000, 1, 1), (1_000_001, 1, 2)] {
            assert_eq!((Credits(micro).rounded_down(), Credits(micro).rounded_up()), (down, up));
        }
        assert_eq!((Credits::whole(3), Credits::whole(u64::MAX)), (Credits(3_000_000), Credits::MAX));
    }

    #[test]
    fn a_cost_of_zero_pays_for_no_requests() {
        assert_eq!((Credits(7).requests_of(Credits(2)), Credits(7).requests_of(Credits(0))), (3, 0));
    }
}
