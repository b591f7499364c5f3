//! The cost that a provider reports beside the usage: OpenRouter's `usage.cost`, in USD (read 2026-11-30).

use access::NanoUsd;
use meter::rating::rounded;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The version of the price of a reported cost.
pub const REPORTED: &str = "reported";
/// Highest cost of one call that is believed: 10,000 USD.
const COST_MAX: NanoUsd = NanoUsd(10_000_000_000_000);
/// Longest number that is read, in bytes.
const NUMBER_LEN_MAX: usize = 40;
/// The decimal places of a pico-USD.
const PICO_PLACES: i32 = 12;

#[derive(Deserialize)]
struct ReportedUsage<'a> {
    #[serde(borrow)]
    cost: &'a RawValue,
    /// Whether the provider behind the host is paid with an own key. `cost` is then the fee of the host alone.
    #[serde(default)]
    is_byok: Option<bool>,
    #[serde(default, borrow)]
    cost_details: Option<CostDetails<'a>>,
}

#[derive(Deserialize)]
struct CostDetails<'a> {
    #[serde(default, borrow)]
    upstream_inference_cost: Option<&'a RawValue>,
}

/// Returns the cost in a usage object; `None` if it has none, or one that is no plausible amount.
#[must_use]
pub fn reported_cost(usage: &str) -> Option<NanoUsd> {
    let ReportedUsage { cost, is_byok, cost_details } = serde_json::from_str(usage).ok()?;
    let own_key = match (is_byok, cost_details) {
        (Some(true), Some(details)) => pico(details.upstream_inference_cost?.get())?,
        (Some(true), None) => return None,
        (Some(false) | None, _) => 0,
    };
    let cost = rounded(pico(cost.get())?.checked_add(own_key)?);
    (cost <= COST_MAX).then_some(cost)
}

/// Returns USD in pico-USD, without a fraction of them; `None` for anything but a JSON number that is not negative.
fn pico(number: &str) -> Option<i128> {
    if number.len() > NUMBER_LEN_MAX || !number.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    let shift = exponent.parse::<i32>().ok()?.checked_add(PICO_PLACES)?.checked_sub(places)?;
    let factor = 10_i128.checked_pow(shift.unsigned_abs());
    if shift >= 0 { digits.checked_mul(factor?) } else { Some(factor.map_or(0, |factor| digits / factor)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reported_cost_is_read_exactly_and_an_implausible_one_is_unknown() {
        for (cost, nano) in [
            ("0.00295", Some(2_950_000)),
            ("0", Some(0)),
            ("2.95e-3", Some(2_950_000)),
            ("1.5E-05", Some(15_000)),
            ("1e-300", Some(0)),
            ("0.0000000015", Some(2)),
            ("12", Some(12_000_000_000)),
            ("1e4", Some(10_000_000_000_000)),
            ("10000.000000001", None),
            ("1e300", None),
            ("1e2147483647", None),
            ("-0.1", None),
            ("\"0.1\"", None),
            ("null", None),
            ("[1]", None),
            ("{}", None),
            ("99999999999999999999999999999999999999999", None),
        ] {
            let usage = format!(r#"{{"prompt_tokens":1,"cost":{cost},"is_byok":false}}"#);
            assert_eq!(reported_cost(&usage).map(|cost| cost.0), nano, "{cost}");
        }
        for none in ["{}", "null", "[]", "7", "[{},{}]", r#"{"cost":1,"cost":2}"#] {
            assert_eq!(reported_cost(none), None, "{none}");
        }
    }

    #[test]
    fn a_call_with_an_own_key_behind_the_host_costs_both_parts() {
        let usage = r#"{"cost":0.001,"is_byok":true,"cost_details":{"upstream_inference_cost":0.019}}"#;
        assert_eq!(reported_cost(usage), Some(NanoUsd(20_000_000)));
        for unknown in [r#"{"cost":0.001,"is_byok":true}"#, r#"{"cost":0.001,"is_byok":true,"cost_details":{}}"#] {
            assert_eq!(reported_cost(unknown), None, "{unknown}");
        }
    }
}
