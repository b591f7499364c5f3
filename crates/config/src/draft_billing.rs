//! Reads the section `billing` outside of a configuration file.

use serde_json::{Value, json};
use settings::error::ConfigError;

use crate::draft_price::traffic;
use crate::snapshot::Billing;

/// Reads the keys of `billing` by the rules of the configuration, for a gateway of this brand. They may refer to no variable
/// and no file.
///
/// # Errors
/// Returns a [`ConfigError`] with every problem of the keys.
pub fn billing_settings(keys: &Value, brand: &str) -> Result<Billing, ConfigError> {
    Ok(traffic(&json!({"brand": {"name": brand}, "billing": keys}))?.billing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seller_is_read_by_the_rules_of_the_configuration() {
        let tax = json!({"name": "PPN", "rate": "12%", "base": "11/12", "from": "2025-01-01"});
        let keys = json!({"seller": {"address": "Jakarta"}, "tax": tax, "number": "A/{year}/{seq:3}"});
        let billing = billing_settings(&keys, "Acme").unwrap();
        assert_eq!((&*billing.seller.name, &*billing.seller.address), ("Acme", "Jakarta"), "the default is the brand");
        assert_eq!(billing.tax.unwrap().name, "PPN");
        for refused in [
            json!({"seller": {"name": "${HOME}"}}),
            json!({"number": "INV"}),
            json!({"tax": {"name": "PPN", "rate": "200%", "from": "2025-01-01"}}),
            json!({"other": 1}),
            json!([]),
        ] {
            assert!(billing_settings(&refused, "Acme").is_err(), "{refused}");
        }
    }
}
