//! Conversion of US dollars between decimal text and integers.

use thiserror::Error;

use crate::amounts::amount::NanoUsd;

/// Decimal places of budget amounts: nano-USD.
const NANO_PLACES: usize = 9;
/// The currency after an amount.
const CURRENCY: &str = " USD";

/// Why a text is not an amount. The message describes the expected text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UsdError {
    /// The text contains other characters than digits and at most one point.
    #[error("a decimal number of USD, such as \"0.25\"")]
    Malformed,
    /// The text is malformed, or the currency is missing or not USD.
    #[error("an amount of USD, such as \"12.50 USD\"")]
    Currency,
    /// A digit other than zero follows the last decimal place that is supported.
    #[error("at most {places} decimal places")]
    TooFine {
        /// The number of supported decimal places.
        places: usize,
    },
    /// The number is too large for the integer.
    #[error("a smaller amount")]
    TooLarge,
    /// The amount of money is more than `i64::MAX` nano-USD.
    #[error("an amount of at most {}", written_money(NanoUsd(i64::MAX)))]
    TooMuch,
}

/// Parses `"0.25"` exactly, as an integer with `places` decimal places.
///
/// # Errors
/// [`UsdError`]: signs, exponents, separators and spaces are not accepted.
pub fn parse(text: &str, places: usize) -> Result<u64, UsdError> {
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return Err(UsdError::Malformed),
        Some(parts) => parts,
        None => (text, ""),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(UsdError::Malformed);
    }
    let (decimals, rest) = fraction.split_at_checked(places).unwrap_or((fraction, ""));
    if rest.bytes().any(|byte| byte != b'0') {
        return Err(UsdError::TooFine { places });
    }
    let padding = std::iter::repeat_n(b'0', places - decimals.len());
    whole.bytes().chain(decimals.bytes()).chain(padding).try_fold(0_u64, |sum, digit| {
        let ten_fold = sum.checked_mul(10).ok_or(UsdError::TooLarge)?;
        ten_fold.checked_add(u64::from(digit - b'0')).ok_or(UsdError::TooLarge)
    })
}

/// Parses `"12.50 USD"`.
///
/// # Errors
/// [`UsdError`], as for [`parse`].
pub fn parse_money(text: &str) -> Result<NanoUsd, UsdError> {
    let number = text.strip_suffix(CURRENCY).ok_or(UsdError::Currency)?;
    match parse(number, NANO_PLACES) {
        Err(UsdError::Malformed) => Err(UsdError::Currency),
        Err(UsdError::TooLarge) => Err(UsdError::TooMuch),
        nano => i64::try_from(nano?).map(NanoUsd).map_err(|_| UsdError::TooMuch),
    }
}

/// Formats an integer with `places` decimal places as [`parse`] accepts it: `0.25`.
#[must_use]
pub fn written(amount: u64, places: usize) -> String {
    let digits = format!("{amount:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

/// Formats money as [`parse_money`] accepts it: `12.5 USD`. A negative amount has a minus sign in front.
#[must_use]
pub fn written_money(money: NanoUsd) -> String {
    format!("{}{CURRENCY}", decimal(money))
}

/// Formats money as a decimal number of dollars, without the currency: `12.5`.
#[must_use]
pub fn decimal(money: NanoUsd) -> String {
    let sign = if money.0 < 0 { "-" } else { "" };
    format!("{sign}{}", written(money.0.unsigned_abs(), NANO_PLACES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_number_has_no_currency() {
        for (nano, expected) in
            [(0, "0"), (1, "0.000000001"), (1_234_000, "0.001234"), (12_000_000_000, "12"), (-5, "-0.000000005")]
        {
            assert_eq!(decimal(NanoUsd(nano)), expected);
        }
    }

    #[test]
    fn money_has_its_currency_and_is_read_exactly() {
        for (text, nano) in [
            ("0 USD", 0),
            ("5 USD", 5_000_000_000),
            ("12.50 USD", 12_500_000_000),
            ("0.000000001 USD", 1),
            ("9223372036.854775807 USD", i64::MAX),
        ] {
            assert_eq!(parse_money(text), Ok(NanoUsd(nano)), "{text}");
            assert_eq!(parse_money(&written_money(NanoUsd(nano))), Ok(NanoUsd(nano)), "{text}");
        }
        for (nano, text) in [(12_500_000_000, "12.5 USD"), (1, "0.000000001 USD"), (-250_000_000, "-0.25 USD")] {
            assert_eq!(written_money(NanoUsd(nano)), text);
        }
    }

    #[test]
    fn any_other_money_is_refused() {
        for text in
            ["", "5", "USD", " USD", "5USD", "5  USD", "5 usd", "5 EUR", "-5 USD", "$5 USD", "5 USD ", "1e3 USD"]
        {
            assert_eq!(parse_money(text), Err(UsdError::Currency), "{text}");
        }
        assert_eq!(parse_money("0.0000000001 USD"), Err(UsdError::TooFine { places: 9 }));
        for text in ["9223372036.854775808 USD", "18446744073.709551616 USD"] {
            assert_eq!(parse_money(text), Err(UsdError::TooMuch), "{text}");
        }
    }

    #[test]
    fn whole_amounts_are_written_without_a_point() {
        for (amount, places, text) in
            [(0, 0, "0"), (7, 0, "7"), (0, 6, "0"), (250_000, 6, "0.25"), (10, 1, "1"), (1, 3, "0.001")]
        {
            assert_eq!(written(amount, places), text);
        }
    }
}
