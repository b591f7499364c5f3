//! Money of insights: an integer of billionths and a currency.

use access::NanoUsd;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The currency of all costs.
pub const CURRENCY: &str = "USD";

/// An amount of money in billionths (nano) of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NanoMoney {
    /// The amount in billionths (nano) of the currency.
    pub amount_nano: i64,
    /// The currency, such as `USD`.
    pub currency: String,
}

impl NanoMoney {
    /// Returns an amount in US dollars.
    #[must_use]
    pub fn of(amount: NanoUsd) -> Self {
        Self { amount_nano: amount.0, currency: CURRENCY.to_owned() }
    }
}

/// Formats an amount with two decimals, rounded half away from zero: `12.50 USD`.
#[must_use]
pub fn shown(amount_nano: i128) -> String {
    const CENT: i128 = 10_000_000;
    let sign = if amount_nano < 0 { "-" } else { "" };
    let cents = amount_nano.abs().saturating_add(CENT / 2) / CENT;
    let sign = if cents == 0 { "" } else { sign };
    format!("{sign}{}.{:02} {CURRENCY}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_with_two_decimals() {
        for (nano, text) in [
            (0, "0.00 USD"),
            (12_500_000_000, "12.50 USD"),
            (-2_500_000_000, "-2.50 USD"),
            (4_999_999, "0.00 USD"),
            (5_000_000, "0.01 USD"),
            (-4_999_999, "0.00 USD"),
            (i128::from(i64::MAX), "9223372036.85 USD"),
        ] {
            assert_eq!(shown(nano), text, "{nano}");
        }
    }
}
