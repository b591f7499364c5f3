//! What tokens and other units cost: a built-in table, dated and sourced, under what is configured.

mod decimal;
pub mod server_tools;
mod table;
mod terms;

use std::collections::HashMap;
use std::sync::Arc;

use access::NanoUsd;
use meter::rating::{Line, total};
use meter::{Rates, UnitRates, Usage};

pub use access::usd::UsdError;
pub use decimal::{parse_each, parse_per_million, parse_per_second};
pub use terms::{Others, Terms, Tier};

/// Stands for every model of a provider.
const ANY: &str = "*";

/// What a model costs, since when, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// Up to [`Long::above_tokens`] of input, where there is such a bound.
    pub rates: Rates,
    /// From there on.
    pub long: Option<Long>,
    /// For what is sold by another unit than tokens.
    pub units: UnitRates,
    /// What holds at other terms; those above are the standard ones.
    pub others: Arc<Others>,
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
    /// A price from the configuration; its version spells its figures out: those of text in [`Rates`]' order (pico-USD a
    /// token), then what else is priced, by name.
    #[must_use]
    pub fn configured(rates: Rates, units: UnitRates) -> Self {
        let text = [rates.input, rates.cached_input, rates.cache_write_short, rates.cache_write_long, rates.output];
        let text = text.map(|rate| rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string()));
        let others = [
            ("audio_input", rates.audio_input),
            ("image_input", rates.image_input.filter(|_| rates.image_input != rates.input)),
            ("audio_output", rates.audio_output),
            ("image_output", rates.image_output),
            ("image", units.image),
            ("millisecond", units.millisecond),
            ("character", units.character),
        ];
        let others = others.into_iter().filter_map(|(name, rate)| Some(format!("+{name}:{}", rate?)));
        let version = format!("configured-{}{}", text.join("/"), others.collect::<String>());
        let (source, as_of) = ("configuration".into(), "".into());
        Self { rates, long: None, units, others: Arc::default(), version: version.into(), source, as_of }
    }

    /// What `usage` costs, by its tokens and tool calls where any tokens are told, else by its unit. `None` where neither is
    /// known, or what was used has no price; of what is free nothing need be known.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Option<NanoUsd> {
        if self.rates == Rates::flat(0) && self.units == UnitRates::flat(0) {
            return Some(NanoUsd(0));
        }
        match (usage.has_tokens(), usage.tools.is_empty()) {
            (true, true) => self.rates_for(usage).cost(usage),
            (true, false) => self.lines(usage).map(|lines| total(&lines)),
            (false, true) => usage.billed.and_then(|billed| self.units.cost(billed)),
            // What called the tools used tokens, too.
            (false, false) => None,
        }
    }

    /// The same, line by line; of what is free there may be no line.
    #[must_use]
    pub fn lines(&self, usage: &Usage) -> Option<Vec<Line>> {
        if !usage.has_tokens() {
            if !usage.tools.is_empty() {
                return self.cost(usage).map(|_| Vec::new());
            }
            let line = usage.billed.map(|billed| self.units.line(billed));
            return line.map_or_else(|| self.cost(usage).map(|_| Vec::new()), |line| Some(vec![line?]));
        }
        let mut lines = self.rates_for(usage).lines(usage)?;
        lines.extend(self.units.tool_lines(&usage.tools)?);
        Some(lines)
    }

    /// The rates that hold for a request.
    fn rates_for(&self, usage: &Usage) -> &Rates {
        match &self.long {
            Some(long) if usage.all_input() > Some(long.above_tokens) => &long.rates,
            _ => &self.rates,
        }
    }
}

impl Prices {
    /// The built-in table: the mock, and OpenAI's, Anthropic's and Google's models of its day.
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

    /// Every one as `PROVIDER/MODEL`, in no order.
    pub fn all(&self) -> impl Iterator<Item = (String, &Price)> {
        let models = self
            .0
            .iter()
            .flat_map(|(provider, models)| models.iter().map(move |(model, price)| (provider, model, price)));
        models.map(|(provider, model, price)| (format!("{provider}/{model}"), price))
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

    /// Whether this very model is listed for `provider`, not only what stands for every model.
    #[must_use]
    pub fn names(&self, provider: &str, model: &str) -> bool {
        model != ANY && self.0.get(provider).is_some_and(|models| models.contains_key(model))
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
    use meter::{Billed, Source, Unit};

    use super::*;

    fn flat(rate: u64) -> Price {
        Price::configured(Rates::flat(rate), UnitRates::default())
    }

    #[test]
    fn dated_names_have_the_price_of_the_undated() {
        let prices = Prices::default().with("p/gpt-5", flat(1)).with("p/gpt-5-2024-05-13", flat(2));
        let found = |model| prices.find("p", [model]).and_then(|price| price.rates.input);
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
        assert_eq!(
            (price.rates.input, &*price.version),
            (Some(7), "configured-7/7/7/7/7+audio_input:7+audio_output:7+image_output:7")
        );
        assert_eq!(builtin.find("openai", ["gpt-5-mini"]).unwrap().rates.input, Some(250_000));
        let units = UnitRates { image: Some(8), ..UnitRates::default() };
        assert_eq!(&*Price::configured(Rates::default(), units).version, "configured--/-/-/-/-+image:8");
    }

    #[test]
    fn names_come_in_their_order_and_before_what_stands_for_every_model() {
        let prices = Prices::default().with("p/*", flat(1)).with("p/b", flat(2)).with("p/c", flat(3));
        let found = |names: &[&str]| prices.find("p", names.iter().copied()).and_then(|price| price.rates.input);
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
        for usage in [usage, Usage { cache_write_short: Some(1), ..usage }] {
            assert_eq!(price.lines(&usage).map(|lines| meter::rating::total(&lines)), price.cost(&usage));
        }
        assert_eq!(price.lines(&Usage::empty(Source::Reported)), None);
    }

    #[test]
    fn what_has_no_tokens_costs_by_its_unit() {
        let prices = Prices::builtin();
        let cost = |name: &str, unit, quantity| {
            let (provider, model) = name.split_once('/').unwrap();
            let usage = Usage { billed: Some(Billed { unit, quantity }), ..Usage::empty(Source::Counted) };
            prices.find(provider, [model]).unwrap().cost(&usage).map(|cost| cost.0)
        };
        // 0.006 USD a minute, 15 USD a million characters.
        assert_eq!(cost("openai/whisper-1", Unit::Millisecond, 60_000), Some(6_000_000));
        assert_eq!(cost("openai/tts-1", Unit::Character, 1_000_000), Some(15_000_000_000));
        assert_eq!(cost("mock/any", Unit::Image, 2), Some(80_000_000));
        assert_eq!(cost("openai/tts-1", Unit::Image, 1), None);
        assert_eq!(cost("openai/gpt-image-2", Unit::Image, 1), None);
        let whisper = prices.find("openai", ["whisper-1"]).unwrap();
        assert_eq!(whisper.cost(&Usage { input: Some(1), ..Usage::empty(Source::Reported) }), None);
    }

    #[test]
    fn media_cost_their_own_rates_and_long_prompts_of_gemini_theirs() {
        let prices = Prices::builtin();
        let usage = Usage { audio_input: Some(1_000), output: Some(10), ..Usage::empty(Source::Reported) };
        let cost = |model, usage: &Usage| prices.find("gemini", [model]).unwrap().cost(usage).map(|cost| cost.0);
        assert_eq!(cost("gemini-2.5-flash", &usage), Some(1_000_000 + 25_000));
        assert_eq!(cost("gemini-3.6-flash", &usage), None, "its audio has no price in the source");
        let image = Usage { input: Some(10), image_output: Some(1_290), ..Usage::empty(Source::Reported) };
        assert_eq!(cost("gemini-2.5-flash-image", &image), Some(3_000 + 38_700_000));
        let long = |cached_input| Usage { input: Some(1_000), cached_input: Some(cached_input), ..usage };
        let long = |cached_input| Usage { audio_input: None, ..long(cached_input) };
        assert_eq!(cost("gemini-2.5-pro", &long(199_000)), Some(1_250_000 + 24_875_000 + 100_000));
        assert_eq!(cost("gemini-2.5-pro", &long(199_001)), Some(2_500_000 + 49_750_250 + 150_000));
    }

    #[test]
    fn what_is_free_costs_a_true_zero() {
        let prices = Prices::builtin();
        for model in ["omni-moderation-latest", "omni-moderation-2024-09-26"] {
            let price = prices.find("openai", [model]).unwrap();
            assert_eq!(price.cost(&Usage::empty(Source::Reported)), Some(NanoUsd(0)), "{model}");
            assert_eq!(price.lines(&Usage::empty(Source::Reported)), Some(Vec::new()), "{model}");
        }
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
