//! Prices as people write them: decimal USD per million tokens.

use thiserror::Error;

/// Decimal places that pico-USD per token can hold: 1 USD per million tokens is 1,000,000 of them.
const PLACES: usize = 6;

/// Why a text is no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PriceError {
    /// Something else than digits around at most one point.
    #[error("a price is a decimal number of USD per million tokens, such as \"0.25\"")]
    Malformed,
    /// A digit other than zero after the sixth decimal place.
    #[error("a price has at most {PLACES} decimal places")]
    TooFine,
    /// It does not fit.
    #[error("the price is too large")]
    TooLarge,
}

/// Reads USD per million tokens (`"0.25"`) as pico-USD per token (250,000), exactly.
///
/// # Errors
/// [`PriceError`]: no sign, exponent, separator or space is accepted.
pub fn parse_per_million(text: &str) -> Result<u64, PriceError> {
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return Err(PriceError::Malformed),
        Some(parts) => parts,
        None => (text, ""),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(PriceError::Malformed);
    }
    let (kept, rest) = fraction.split_at_checked(PLACES).unwrap_or((fraction, ""));
    if rest.bytes().any(|byte| byte != b'0') {
        return Err(PriceError::TooFine);
    }
    let padding = std::iter::repeat_n(b'0', PLACES - kept.len());
    whole.bytes().chain(kept.bytes()).chain(padding).try_fold(0_u64, |sum, digit| {
        let ten_fold = sum.checked_mul(10).ok_or(PriceError::TooLarge)?;
        ten_fold.checked_add(u64::from(digit - b'0')).ok_or(PriceError::TooLarge)
    })
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
    fn anything_else_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "1 USD", "1.2.3", "１", "NaN"] {
            assert_eq!(parse_per_million(text), Err(PriceError::Malformed), "{text}");
        }
        assert_eq!(parse_per_million("0.0000001"), Err(PriceError::TooFine));
        assert_eq!(parse_per_million("18446744073709.551616"), Err(PriceError::TooLarge));
        assert_eq!(parse_per_million(&"9".repeat(100)), Err(PriceError::TooLarge));
    }
}
