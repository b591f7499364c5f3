//! Amounts of budgets as commands print them: credits as decimal numbers, tokens and nano-USD as integers.

use access::{Amount, Credits, Measure};
use serde_json::{Value, json};

/// Returns an amount as a number, without its unit.
pub(super) fn number(measure: Measure, amount: Amount) -> String {
    match measure {
        Measure::Credits => amount.credits().to_string(),
        Measure::Tokens | Measure::Money => amount.0.to_string(),
    }
}

/// Returns an amount as a number in JSON.
pub(super) fn in_json(measure: Measure, amount: Amount) -> Value {
    match measure {
        Measure::Credits => json!(amount.credits()),
        Measure::Tokens | Measure::Money => json!(amount),
    }
}

/// Returns a sum of the audit as a number. `measure` is the name of its column: the sums of `credits` are micro-credits.
pub(super) fn sum(measure: &str, sum: i128) -> String {
    let sign = if sum < 0 { "-" } else { "" };
    match (measure, u64::try_from(sum.unsigned_abs())) {
        (name, Ok(micro)) if name == Measure::Credits.as_str() => format!("{sign}{}", Credits(micro)),
        _ => sum.to_string(),
    }
}

/// Returns a sum of the audit as a number in JSON. A sum outside of the range of JSON integers is a text.
pub(super) fn sum_in_json(measure: &str, value: i128) -> Value {
    let text = sum(measure, value);
    let number = if i64::try_from(value).is_ok() { serde_json::from_str(&text).ok() } else { None };
    number.unwrap_or_else(|| json!(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_have_a_fraction_and_other_sums_none() {
        let credits = Measure::Credits;
        assert_eq!(number(credits, Amount(1_500_000)), "1.5");
        assert_eq!((number(Measure::Money, Amount(7)), in_json(Measure::Tokens, Amount(7))), ("7".into(), json!(7)));
        assert_eq!((in_json(credits, Amount(2_000_000)), in_json(credits, Amount(1))), (json!(2), json!(0.000_001)));
        assert_eq!((sum("credits", -1_250_000), sum("input_tokens", -5)), ("-1.25".into(), "-5".into()));
        assert_eq!((sum_in_json("credits", 3_000_000), sum_in_json("requests", 4)), (json!(3), json!(4)));
        assert_eq!(sum_in_json("requests", i128::MAX), json!(i128::MAX.to_string()));
    }
}
