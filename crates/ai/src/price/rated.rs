//! The cost of usage at a price of a table, or the reason why it is unknown.

use access::{Day, NanoUsd};
use meter::{UnknownCost, Usage};

use super::{Price, PriceTerms, Prices, server_tools};

/// A cost, and the price that gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCost {
    /// The cost, rounded once to nano-USD.
    pub cost: NanoUsd,
    /// The price at the terms of the request.
    pub price: Price,
}

impl Price {
    /// Whether the price has the fee of a model that searches the web in each request. No usage reports such a search, and a
    /// price of every model (`*`) cannot have its fee.
    #[must_use]
    pub fn has_fee_of<'a>(&self, provider: &str, names: impl IntoIterator<Item = &'a str>) -> bool {
        self.units.request.is_some() || !names.into_iter().any(|name| server_tools::always_searches(provider, name))
    }

    /// Returns the cost of `usage` at `terms`.
    ///
    /// # Errors
    /// [`UnknownCost`] names the reason: an unknown cost is never zero.
    pub fn rate(&self, terms: PriceTerms, usage: &Usage) -> Result<KnownCost, UnknownCost> {
        let price = self.with_terms(terms).ok_or(UnknownCost::UnknownTerms)?;
        let cost = price.cost(usage).ok_or(UnknownCost::NoRate)?;
        Ok(KnownCost { cost, price: price.into_owned() })
    }
}

impl Prices {
    /// Returns the price of a request on `day`. `names` are the model that responded, if it is known, and the requested model.
    ///
    /// # Errors
    /// [`UnknownCost::NoPrice`] if the table has none.
    pub fn priced(&self, provider: &str, names: &[&str], day: Day) -> Result<&Price, UnknownCost> {
        let price = self.find(provider, names.iter().copied(), day);
        price.filter(|price| price.has_fee_of(provider, names.iter().copied())).ok_or(UnknownCost::NoPrice)
    }
}

#[cfg(test)]
mod tests {
    use access::Tokens;
    use meter::Source;

    use super::*;
    use crate::price::Tier;

    #[test]
    fn usage_has_a_cost_or_the_reason_why_it_has_none() {
        let prices = Prices::builtin();
        let tokens = Usage { input: Some(Tokens(1_000)), ..Usage::empty(Source::Reported) };
        let heard = Usage { audio_input: Some(Tokens(1)), ..tokens };
        let cost = |names: &[&str], tier, usage: &Usage| {
            let price = prices.priced("openai", names, Day(20_778))?;
            price.rate(PriceTerms { tier, us: false }, usage).map(|of| (of.cost.0, of.price.version.to_string()))
        };
        let version =
            |suffix: &str| format!("{}{suffix}", prices.find("openai", ["gpt-5"], Day(20_778)).unwrap().version);
        assert_eq!(cost(&["gpt-5"], Tier::Standard, &tokens), Ok((1_250_000, version(""))));
        assert_eq!(cost(&["gpt-5-2025-08-07", "alias"], Tier::Flex, &tokens), Ok((625_000, version("+flex"))));
        assert_eq!(cost(&["gpt-5"], Tier::Fast, &tokens), Err(UnknownCost::UnknownTerms));
        assert_eq!(cost(&["gpt-5"], Tier::Standard, &heard), Err(UnknownCost::NoRate));
        assert_eq!(cost(&["unlisted"], Tier::Standard, &tokens), Err(UnknownCost::NoPrice));
        let free = Price::configured(meter::Rates::flat(0), meter::UnitRates::default());
        assert!(!free.has_fee_of("openai", ["gpt-5-search-api"]) && free.has_fee_of("openai", ["gpt-5"]));
    }
}
