//! What a token costs: a built-in table, dated and sourced, under what is configured.

mod decimal;
mod table;

use std::collections::HashMap;
use std::sync::Arc;

use access::NanoUsd;
use meter::{Rates, Usage};

pub use decimal::{PriceError, parse_per_million};

/// Stands for every model of a provider.
const ANY: &str = "*";

/// What a model costs, since when, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// Up to [`Long::above_tokens`] of input, where there is such a bound.
    pub rates: Rates,
    /// From there on.
    pub long: Option<Long>,
    /// What a usage event remembers, so that its cost can be computed again.
    pub version: Arc<str>,
    /// Where the figures come from.
    pub source: Arc<str>,
    /// The day on which they were read there, `YYYY-MM-DD`; empty for configured ones.
    pub as_of: Arc<str>,
}

/// Dearer rates of long requests: they hold for the whole request, output and caches too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Long {
    /// All input together, cached and written to caches included, must be more than this.
    pub above_tokens: u64,
    /// What then holds.
    pub rates: Rates,
}

/// Prices by provider and model. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Prices(Arc<HashMap<Box<str>, Models>>);

type Models = HashMap<Box<str>, Price>;

impl Price {
    /// A price from the configuration; its version spells its figures out (pico-USD a token, in [`Rates`]' order).
    #[must_use]
    pub fn configured(rates: Rates) -> Self {
        let Rates { input, cached_input, cache_write_short, cache_write_long, output } = rates;
        let version = format!("configured-{input}/{cached_input}/{cache_write_short}/{cache_write_long}/{output}");
        Self { rates, long: None, version: version.into(), source: "configuration".into(), as_of: "".into() }
    }

    /// What `usage` costs; `None` where no class of it is known.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Option<NanoUsd> {
        let classes = [usage.input, usage.cached_input, usage.cache_write_short, usage.cache_write_long];
        let input = classes.into_iter().flatten().fold(0_u64, u64::saturating_add);
        match &self.long {
            Some(long) if input > long.above_tokens => long.rates.cost(usage),
            _ => self.rates.cost(usage),
        }
    }
}

impl Prices {
    /// The built-in table: the mock, and OpenAI's and Anthropic's models of its day.
    #[must_use]
    pub fn builtin() -> Self {
        let mut prices = Self::default();
        for (model, price) in table::prices() {
            prices = prices.with(&model, price);
        }
        prices
    }

    /// Sets the price of `name`, which is `PROVIDER/MODEL`, in place of what was known; without a slash it is ignored.
    #[must_use]
    pub fn with(mut self, name: &str, price: Price) -> Self {
        if let Some((provider, model)) = name.split_once('/') {
            Arc::make_mut(&mut self.0).entry(provider.into()).or_default().insert(model.into(), price);
        }
        self
    }

    /// What the first of `names` that is listed costs at `provider`; `None` is an unknown price, never zero.
    ///
    /// A name that is not listed is looked up again [`undated`]. What stands for every model comes after all names.
    #[must_use]
    pub fn find<'a>(&self, provider: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&Price> {
        let models = self.0.get(provider)?;
        let mut named = names.into_iter().map(|name| models.get(name).or_else(|| models.get(undated(name))));
        named.find_map(|price| price).or_else(|| models.get(ANY))
    }
}

/// A model's name without the date at its end (`-2025-08-07`, `-20251001`), which names a release of the same model.
#[must_use]
pub fn undated(model: &str) -> &str {
    let without = |form: &[u8]| {
        let (name, date) = model.split_at_checked(model.len().checked_sub(form.len())?)?;
        let fits = |(byte, form): (u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == *form };
        (!name.is_empty() && date.bytes().zip(form).all(fits)).then_some(name)
    };
    without(b"-dddd-dd-dd").or_else(|| without(b"-dddddddd")).unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use meter::Source;

    use super::*;

    fn flat(rate: u64) -> Price {
        Price::configured(Rates {
            input: rate,
            cached_input: rate,
            cache_write_short: rate,
            cache_write_long: rate,
            output: rate,
        })
    }

    #[test]
    fn dated_names_have_the_price_of_the_undated() {
        let prices = Prices::default().with("p/gpt-5", flat(1)).with("p/gpt-5-2024-05-13", flat(2));
        let found = |model| prices.find("p", [model]).map(|price| price.rates.input);
        assert_eq!(found("gpt-5"), Some(1));
        assert_eq!(found("gpt-5-2025-08-07"), Some(1));
        assert_eq!(found("gpt-5-20250807"), Some(1));
        assert_eq!(found("gpt-5-2024-05-13"), Some(2));
        for unknown in ["gpt-5-mini", "gpt-5-2025-08", "gpt-5-2025080", "gpt-5é2025-08-07", "-20250807", "", "gpt"] {
            assert_eq!(found(unknown), None, "{unknown}");
        }
        assert_eq!(prices.find("q", ["gpt-5"]), None);
    }

    #[test]
    fn configured_price_replaces_the_built_in_one_and_says_its_figures() {
        let builtin = Prices::builtin();
        let prices = builtin.clone().with("openai/gpt-5-mini", flat(7)).with("no-provider", flat(8));
        let price = prices.find("openai", ["gpt-5-mini-2025-08-07"]).unwrap();
        assert_eq!((price.rates.input, &*price.version), (7, "configured-7/7/7/7/7"));
        assert_eq!(builtin.find("openai", ["gpt-5-mini"]).unwrap().rates.input, 250_000);
    }

    #[test]
    fn names_come_in_their_order_and_before_what_stands_for_every_model() {
        let prices = Prices::default().with("p/*", flat(1)).with("p/b", flat(2)).with("p/c", flat(3));
        let found = |names: &[&str]| prices.find("p", names.iter().copied()).map(|price| price.rates.input);
        for (names, rate) in [(["b", "c"], 2), (["c", "b"], 3), (["x", "b-2025-08-07"], 2), (["x", "y"], 1)] {
            assert_eq!(found(&names), Some(rate), "{names:?}");
        }
    }

    #[test]
    fn long_requests_cost_the_long_rates_as_a_whole() {
        let price = Price { long: Some(Long { above_tokens: 100, rates: flat(5_000).rates }), ..flat(1_000) };
        let usage =
            Usage { input: Some(60), cached_input: Some(40), output: Some(10), ..Usage::empty(Source::Reported) };
        assert_eq!(price.cost(&usage), Some(NanoUsd(110)));
        assert_eq!(price.cost(&Usage { cache_write_short: Some(1), ..usage }), Some(NanoUsd(555)));
        assert_eq!(price.cost(&Usage::empty(Source::Reported)), None);
    }

    #[test]
    fn unknown_models_have_no_price_and_every_mock_has_one() {
        let prices = Prices::builtin();
        assert_eq!(prices.find("openai", ["gpt-99"]), None);
        assert_eq!(prices.find("elsewhere", ["gpt-5"]), None);
        for model in ["mock", "slow", "tokens-1000000", "no-usage"] {
            assert!(prices.find("mock", [model]).is_some(), "{model}");
        }
    }
}
