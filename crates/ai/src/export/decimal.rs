//! Parses decimal numbers of JSON and tables exactly.

/// Decimal places of the result: billionths.
const PLACES: i32 = 9;
/// Larger exponents have no meaning for an amount of money.
const EXPONENT_MAX: i32 = 30;

/// Returns a decimal number, times ten to the `shift`, in billionths; finer digits are rounded, halves away from zero.
/// `None` if the text is not a number or does not fit.
pub(super) fn nano(text: &str, shift: i32) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    if exponent.abs() > EXPONENT_MAX {
        return None;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || mantissa.ends_with('.') || whole.len() > 20 {
        return None;
    }
    // Further digits are worth less than one billionth and are not rounded up.
    let fraction = fraction.get(..fraction.len().min(17))?;
    let read: i128 = format!("{whole}{fraction}").parse().ok()?;
    let places = exponent + shift + PLACES - i32::try_from(fraction.len()).ok()?;
    let amount = match u32::try_from(places) {
        Ok(up) => read.checked_mul(10_i128.checked_pow(up)?)?,
        Err(_) => match 10_i128.checked_pow(places.unsigned_abs()) {
            Some(down) => (read + down / 2) / down,
            None => 0,
        },
    };
    i64::try_from(if negative { -amount } else { amount }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly() {
        for (text, shift, expected) in [
            ("0.06", 0, Some(60_000_000)),
            ("12", 0, Some(12_000_000_000)),
            ("6e-5", 0, Some(60_000)),
            ("1.5E2", 0, Some(150_000_000_000)),
            ("123.78912", -2, Some(1_237_891_200)),
            ("-0.25", 0, Some(-250_000_000)),
            ("0.0000000005", 0, Some(1)),
            ("0.00000000049999999999999999999", 0, Some(0)),
            ("9223372036.854775807", 0, Some(i64::MAX)),
            ("9223372036.854775808", 0, None),
            ("", 0, None),
            (".5", 0, None),
            ("5.", 0, None),
            ("1,5", 0, None),
            ("1e99", 0, None),
            ("+1", 0, None),
            ("99999999999999999999999999999", 0, None),
            ("NaN", 0, None),
        ] {
            assert_eq!(nano(text, shift), expected, "{text}");
        }
    }
}
