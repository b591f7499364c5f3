//! The section `credits`, of the file and of a plan.

use access::amounts::usd;
use meter::rating::credit_price::Millionths;
use serde_json::{Value as Json, json};
use settings::field::{Map, default, nested};
use settings::form::{Form, FormRefusal, Whole, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;

use super::plan_models::is_plan_model;

/// Maximum number of entries of `credits.models`.
pub(crate) const FACTORS_MAX: usize = 256;
/// Decimal places of weights, factors and credits.
const PLACES: usize = 6;
/// The largest weight and the largest factor, in millionths.
const WEIGHT_MAX: u64 = 1_000 * 1_000_000;
/// The largest `minimum`, in micro-credits.
const MINIMUM_MAX: u64 = 1_000_000 * 1_000_000;

/// A decimal number from a minimum to a maximum, in millionths.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DecimalForm {
    least: u64,
    most: u64,
    expected: &'static str,
    cell: &'static str,
    /// The range of a text.
    pattern: &'static str,
    /// The range of a number in JSON.
    range: fn() -> Json,
}

const WEIGHT: DecimalForm = DecimalForm {
    least: 1,
    most: WEIGHT_MAX,
    expected: "a number from 0.000001 to 1000, with at most 6 decimal places",
    cell: "0.000001 to 1000",
    pattern: r"^(0*[1-9][0-9]{0,2}(\.[0-9]{1,6}0*)?|0*1000(\.0+)?|0+\.([1-9][0-9]{0,5}|0[1-9][0-9]{0,4}|00[1-9][0-9]{0,3}|000[1-9][0-9]{0,2}|0000[1-9][0-9]?|00000[1-9])0*)$",
    range: || json!({"type": "number", "minimum": 0.000_001, "maximum": 1_000}),
};
const MINIMUM: DecimalForm = DecimalForm {
    least: 0,
    most: MINIMUM_MAX,
    expected: "a number of credits up to 1000000, with at most 6 decimal places",
    cell: "0 to 1000000",
    pattern: r"^0*([0-9]{1,6}(\.[0-9]{1,6}0*)?|1000000(\.0+)?)$",
    range: || json!({"type": "number", "minimum": 0, "maximum": 1_000_000}),
};
const FACTORS: Map<DecimalForm> = Map::new(
    WEIGHT,
    is_plan_model,
    "1 to 256 visible ASCII characters without a space, `*` only at the end",
    "^[!-)+-~]{0,255}[!-~]$",
);

impl Form for DecimalForm {
    type Value = Millionths;

    fn parse(&self, text: &str) -> Result<Millionths, FormRefusal> {
        let millionths = usd::parse(text, PLACES).ok().filter(|number| (self.least..=self.most).contains(number));
        millionths.map(Millionths).ok_or_else(|| bad(self.expected))
    }

    fn shown(&self, value: &Millionths) -> Value {
        Value::Text(usd::written(value.0, PLACES))
    }

    fn cell(&self) -> String {
        self.cell.to_owned()
    }

    fn schema(&self) -> Json {
        json!({"anyOf": [{"type": "string", "pattern": self.pattern}, (self.range)()]})
    }
}

section! {
    CreditsInput {
        /// Tokens of weight 1 that cost a credit.
        per_tokens: Input<u32> = default(Whole::<u32>::new(1, 1_000_000_000), || 1_000);
        /// The weights of the [classes](budgets.md#credits-by-tokens) of tokens.
        weights: TokenWeightsInput = nested::<TokenWeightsInput>();
        /// Factors of models, by the name that the client requests or PROVIDER/MODEL, or their beginnings with `*`; at most 256.
        models: Vec<(String, Input<Millionths>)> = FACTORS;
        /// The least that a call costs.
        minimum: Input<Millionths> = default(MINIMUM, || Millionths::ONE);
    }
}

section! {
    TokenWeightsInput {
        /// Input that no cache had.
        input: Input<Millionths> = default(WEIGHT, || Millionths::ONE);
        /// Input that was read from a cache.
        cached_input: Input<Millionths> = default(WEIGHT, || Millionths::ONE);
        /// Input that was written to a cache.
        cache_write: Input<Millionths> = default(WEIGHT, || Millionths::ONE);
        /// Output, which includes reasoning tokens.
        output: Input<Millionths> = default(WEIGHT, || Millionths::ONE);
    }
}
