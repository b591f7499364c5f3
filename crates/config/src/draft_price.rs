//! Reads the price of one plan outside of a configuration file.

use crate::load::{Sources, load_in_place_of};
use crate::running::ConfigText;
use crate::snapshot::Traffic;
use crate::sources::flags::Flags;
use access::PlanPrice;
use serde_json::{Value, json};
use settings::environment::Environment;
use settings::error::{Code, ConfigError, Problem};

/// The name of the plan in the text that is compiled.
const NAME: &str = "draft";

/// Reads the price of a plan from the keys of `plans[]`, by the rules of the configuration. It may refer to no variable and no
/// file.
///
/// # Errors
/// Returns a [`ConfigError`] with every problem of the keys, also if the price is missing.
pub fn plan_price(keys: &Value) -> Result<PlanPrice, ConfigError> {
    let mut plan = keys.clone();
    if let Value::Object(keys) = &mut plan {
        keys.insert("name".to_owned(), json!(NAME));
    }
    let traffic = traffic(&json!({"plans": [plan]}))?;
    let price = traffic.plan_prices.iter().find(|(name, _)| name == NAME);
    price.map(|(_, price)| price.clone()).ok_or_else(|| {
        let problem = Problem::new(Code::BadValue, None, "the plan has no price").expected("`price: \"150000 IDR\"`");
        ConfigError::from_problems(vec![problem])
    })
}

/// Compiles a configuration that may refer to no variable and no file.
///
/// # Errors
/// Returns a [`ConfigError`] with every problem of the configuration.
pub(crate) fn traffic(configuration: &Value) -> Result<Traffic, ConfigError> {
    let environment = Environment::default();
    let text = configuration.to_string();
    let text = ConfigText { name: "", text: &text, posted: Some(&[]) };
    let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
    Ok(load_in_place_of(None, text, sources)?.snapshot.traffic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_read_by_the_rules_of_the_configuration() {
        let charge =
            json!({"name": "Requests", "metric": "requests", "model": "package", "size": 1000, "unit": "250 IDR"});
        let price = plan_price(&json!({"price": "175000 IDR", "charges": [charge]})).unwrap();
        assert_eq!((price.price.amount, price.charges.len()), (175_000, 1));
        for refused in [
            json!({}),
            json!({"price": "x"}),
            json!({"price": "1 IDR", "charges": [{"name": "a"}]}),
            json!({"price": "${HOME}"}),
            json!({"price": "1 IDR", "other": 1}),
            json!([]),
        ] {
            assert!(plan_price(&refused).is_err(), "{refused}");
        }
    }
}
