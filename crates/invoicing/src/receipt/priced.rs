//! The cost of one attempt, line by line, with the rates by which it was priced.

use access::NanoUsd;
use meter::rating::{self, Line};
use serde::{Deserialize, Serialize};

use super::check_error::ReceiptDifference;
use crate::rules::terms::ListedPrice;

/// An attempt of a request, with its known cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PricedAttempt {
    /// Name of the provider.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub provider: String,
    /// Model that the provider was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Model that responded, if the provider reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_model: Option<String>,
    /// Version of the price.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub price: String,
    /// The cost in nano-USD: the sum of the lines, rounded half to even.
    pub cost_nano: u64,
    /// The lines of the cost; absent if the price was no longer configured when the requests were listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Vec<PricedLine>>,
}

/// A quantity of tokens or units at one rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedLine {
    /// A class of tokens, or a unit.
    pub class: String,
    /// The number of tokens or units.
    pub quantity: u64,
    /// The rate of one token or unit in pico-USD.
    pub rate_pico: u64,
}

impl PricedAttempt {
    /// Returns the first figure that differs from the sum of the lines or from the rates of the price.
    pub(super) fn difference(&self, prices: &[ListedPrice], place: &str) -> Option<ReceiptDifference> {
        let lines = self.lines.as_ref()?;
        let named = (&*self.provider, &*self.model, self.answered_model.as_deref(), &*self.price);
        let listed = prices.iter().find(|listed| listed.named() == named);
        for PricedLine { class, rate_pico, .. } in lines {
            if !listed.is_some_and(|listed| listed.card.has_rate(class, *rate_pico)) {
                return Some(ReceiptDifference {
                    place: format!("{place}, the rate of {class}"),
                    stated: rate_pico.to_string(),
                    computed: format!("another rate at the price {}", self.price),
                });
            }
        }
        let pico = lines.iter().map(|line| i128::from(line.quantity).saturating_mul(i128::from(line.rate_pico)));
        let cost = rating::rounded(pico.fold(0, i128::saturating_add));
        (!is_cost(self.cost_nano, cost)).then(|| ReceiptDifference {
            place: format!("{place}, the cost at the price {}", self.price),
            stated: self.cost_nano.to_string(),
            computed: cost.0.to_string(),
        })
    }
}

impl PricedLine {
    /// Returns a line of a cost.
    #[must_use]
    pub fn from_line(line: &Line) -> Self {
        Self { class: line.class.to_owned(), quantity: line.quantity, rate_pico: line.rate_pico }
    }
}

impl ListedPrice {
    /// Returns the names by which the price is found, in the order of the list.
    #[must_use]
    pub fn named(&self) -> (&str, &str, Option<&str>, &str) {
        (&self.provider, &self.model, self.answered_model.as_deref(), &self.version)
    }
}

/// Whether a stated cost equals a computed one.
#[must_use]
pub fn is_cost(stated: u64, computed: NanoUsd) -> bool {
    i64::try_from(stated) == Ok(computed.0)
}
