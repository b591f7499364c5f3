//! Rounding of money: half up, once per line, in integers.

/// An amount that does not fit into 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an amount of the invoice is too large")]
pub struct AmountOverflow;

/// Divides and rounds half up; halves of negative amounts are rounded away from zero, so that a credit has the amount
/// of the charge that it takes back.
///
/// # Errors
/// [`AmountOverflow`] if the quotient does not fit, or if the denominator is not positive.
pub fn half_up(numerator: i128, denominator: i128) -> Result<i64, AmountOverflow> {
    if denominator <= 0 {
        return Err(AmountOverflow);
    }
    let size = numerator.unsigned_abs();
    let by = denominator.unsigned_abs();
    // 2·remainder ≥ denominator, without the overflow of a doubled numerator.
    let quotient = size / by;
    let remainder = size % by;
    let rounded = quotient + u128::from(remainder >= by - remainder);
    let rounded = i64::try_from(rounded).map_err(|_| AmountOverflow)?;
    Ok(if numerator < 0 { -rounded } else { rounded })
}

/// Adds amounts of an invoice.
///
/// # Errors
/// [`AmountOverflow`] if the sum does not fit.
pub fn sum(amounts: impl IntoIterator<Item = i64>) -> Result<i64, AmountOverflow> {
    amounts.into_iter().try_fold(0_i64, |sum, amount| sum.checked_add(amount).ok_or(AmountOverflow))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_away_from_zero() {
        for (numerator, denominator, expected) in
            [(1, 2, 1), (1, 3, 0), (2, 3, 1), (-1, 2, -1), (-1, 3, 0), (0, 7, 0), (5, 10, 1), (4, 10, 0), (3, 1, 3)]
        {
            assert_eq!(half_up(numerator, denominator), Ok(expected), "{numerator}/{denominator}");
        }
        assert_eq!(half_up(i128::from(i64::MAX), 1), Ok(i64::MAX));
        assert_eq!(half_up(i128::from(i64::MAX) + 1, 1), Err(AmountOverflow));
        assert_eq!(half_up(i128::MAX, 1), Err(AmountOverflow));
        assert_eq!(half_up(1, 0), Err(AmountOverflow));
        assert_eq!(sum([i64::MAX, 1]), Err(AmountOverflow));
    }
}
