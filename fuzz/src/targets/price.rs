//! Prices in the configuration.

use ai::price::{UsdError, parse_each, parse_per_million, parse_per_second};

/// The value of [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &["0", ".", "0.25", "18446744073709.551615", "000000", "-", "e", "_", "٣"];

/// A price is parsed exactly or refused, as decimal arithmetic on its digits requires.
pub fn price(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    assert_eq!(parse_per_million(text), by_hand(text, 6), "{text:?} per million");
    assert_eq!(parse_per_second(text), by_hand(text, 9), "{text:?} a second");
    assert_eq!(parse_each(text), by_hand(text, 12), "{text:?} each");
}

fn by_hand(text: &str, places: usize) -> Result<u64, UsdError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(UsdError::Malformed);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > places {
        return Err(UsdError::TooFine { places });
    }
    let whole = whole.trim_start_matches('0');
    // Twenty digits and the decimal places fit into 128 bits; longer numbers exceed 64 bits.
    if whole.len() > 20 {
        return Err(UsdError::TooLarge);
    }
    let pico: u128 = format!("0{whole}{fraction:0<places$}").parse().unwrap();
    u64::try_from(pico).map_err(|_| UsdError::TooLarge)
}
