//! Shares of a price and of included amounts by days of the whole period.

use super::rounding::{AmountOverflow, half_up};

/// Returns the price of `days` out of the days of the whole period, rounded half up.
///
/// # Errors
/// [`AmountOverflow`] if `whole_days` is 0.
pub fn share_of_price(price: i64, days: u32, whole_days: u32) -> Result<i64, AmountOverflow> {
    half_up(i128::from(price) * i128::from(days), i128::from(whole_days))
}

/// Returns the included units of `days` out of the days of the whole period, rounded down.
#[must_use]
pub fn share_of_included(included: u64, days: u32, whole_days: u32) -> u64 {
    let share = u128::from(included) * u128::from(days.min(whole_days)) / u128::from(whole_days.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proration_divides_by_the_whole_period_also_after_an_upgrade() {
        assert_eq!(share_of_price(150_000, 21, 31), Ok(101_613));
        assert_eq!(share_of_price(1_500_000, 21, 31), Ok(1_016_129));
        // A second change on 20 December still divides by 31 days, not by the 21 that remained after the first one.
        assert_eq!(share_of_price(1_500_000, 12, 31), Ok(580_645));
        assert_eq!(share_of_price(150_000, 31, 31), Ok(150_000));
        assert_eq!(share_of_price(1, 0, 0), Err(AmountOverflow));
    }

    #[test]
    fn included_amounts_are_rounded_down() {
        assert_eq!(share_of_included(300_000, 21, 31), 203_225);
        assert_eq!(share_of_included(1, 30, 31), 0);
        assert_eq!(share_of_included(u64::MAX, 31, 31), u64::MAX);
    }
}
