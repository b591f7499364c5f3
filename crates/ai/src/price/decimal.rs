//! Parses prices as people write them: decimal USD.

use access::amounts::usd::{UsdError, parse};

/// Maximum decimal places of USD per million tokens, kept as pico-USD per token.
const PER_MILLION_PLACES: usize = 6;
/// Maximum decimal places of USD per piece, kept as pico-USD.
const EACH_PLACES: usize = 12;
/// Maximum decimal places of USD per second, kept as pico-USD per millisecond.
const PER_SECOND_PLACES: usize = 9;

/// Parses USD per million tokens (`"0.25"`) into pico-USD per token (250,000), exactly.
///
/// # Errors
/// Returns a [`UsdError`]: no sign, exponent, separator or space is accepted.
pub fn parse_per_million(text: &str) -> Result<u64, UsdError> {
    parse(text, PER_MILLION_PLACES)
}

/// Parses USD per piece (`"0.04"` for an image) into pico-USD, exactly.
///
/// # Errors
/// Returns the errors of [`parse_per_million`].
pub fn parse_each(text: &str) -> Result<u64, UsdError> {
    parse(text, EACH_PLACES)
}

/// Parses USD per second (`"0.0001"`) into pico-USD per millisecond (100,000), exactly.
///
/// # Errors
/// Returns the errors of [`parse_per_million`].
pub fn parse_per_second(text: &str) -> Result<u64, UsdError> {
    parse(text, PER_SECOND_PLACES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_exactly() {
        for (text, pico) in [
            ("0.25", 250_000),
            ("0", 0),
            ("0.0", 0),
            ("1", 1_000_000),
            ("007.5", 7_500_000),
            ("0.000001", 1),
            ("0.0000010", 1),
            ("18446744073709.551615", u64::MAX),
        ] {
            assert_eq!(parse_per_million(text), Ok(pico), "{text}");
        }
    }

    #[test]
    fn pieces_and_seconds_have_more_places() {
        assert_eq!((parse_each("0.04"), parse_each("0.000015")), (Ok(40_000_000_000), Ok(15_000_000)));
        assert_eq!((parse_each("0.000000000001"), parse_per_second("0.000000001")), (Ok(1), Ok(1)));
        assert_eq!((parse_per_second("0.0001"), parse_per_second("1")), (Ok(100_000), Ok(1_000_000_000)));
        assert_eq!(parse_each("0.0000000000001"), Err(UsdError::TooFine { places: 12 }));
        assert_eq!(parse_per_second("0.0000000001"), Err(UsdError::TooFine { places: 9 }));
        assert_eq!(
            (parse_each("18446744.073709551615"), parse_each("18446745")),
            (Ok(u64::MAX), Err(UsdError::TooLarge))
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "1 USD", "1.2.3", "１", "NaN"] {
            assert_eq!(parse_per_million(text), Err(UsdError::Malformed), "{text}");
        }
        assert_eq!(parse_per_million("0.0000001"), Err(UsdError::TooFine { places: 6 }));
        assert_eq!(parse_per_million("18446744073709.551616"), Err(UsdError::TooLarge));
        assert_eq!(parse_per_million(&"9".repeat(100)), Err(UsdError::TooLarge));
    }
}
