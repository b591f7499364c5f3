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

impl Default for NanoMoney {
    /// Returns 0 US dollars.
    fn default() -> Self {
        Self::from_nano_usd(NanoUsd(0))
    }
}

impl NanoMoney {
    /// Returns an amount in US dollars.
    #[must_use]
    pub fn from_nano_usd(amount: NanoUsd) -> Self {
        Self { amount_nano: amount.0, currency: CURRENCY.to_owned() }
    }
}

/// Formats an amount with two decimals, rounded half away from zero: `12.50 USD`. Below one dollar, it has up to six or nine
/// decimals: `0.004323 USD`.
#[must_use]
pub fn shown(amount_nano: i128) -> String {
    let sign = if amount_nano < 0 { "-" } else { "" };
    let amount = amount_nano.unsigned_abs();
    let unit: u128 = match amount {
        0 | 1_000_000_000.. => 10_000_000,
        1_000.. => 1_000,
        1.. => 1,
    };
    let rounded = amount.saturating_add(unit / 2) / unit * unit;
    let decimals = format!("{:09}", rounded % 1_000_000_000);
    let (cents, rest) = decimals.split_at(2);
    format!("{sign}{}.{cents}{} {CURRENCY}", rounded / 1_000_000_000, rest.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_two_decimals_and_more_below_one_dollar() {
        for (nano, text) in [
            (0, "0.00 USD"),
            (12_500_000_000, "12.50 USD"),
            (-2_500_000_000, "-2.50 USD"),
            (12_994_999_999, "12.99 USD"),
            (12_995_000_000, "13.00 USD"),
            (500_000_000, "0.50 USD"),
            (4_323_250, "0.004323 USD"),
            (-4_999_999, "-0.005 USD"),
            (999_999_999, "1.00 USD"),
            (1, "0.000000001 USD"),
            (i128::from(i64::MAX), "9223372036.85 USD"),
        ] {
            assert_eq!(shown(nano), text, "{nano}");
        }
    }
}
