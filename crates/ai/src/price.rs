//! Prices of tokens and of other units: a built-in table, dated and sourced, below the configured prices.

mod decimal;
mod figures;
mod list;
mod names;
mod period;
mod rated;
mod reported;
pub mod server_tools;
mod table;
mod terms;

use std::sync::Arc;

use access::{Day, NanoUsd, Tokens};
use meter::rating::{Line, total};
use meter::{LongRates, RateCard, Rates, ToolCalls, UnitRates, Usage};

pub use access::amounts::usd::UsdError;
pub use decimal::{parse_each, parse_per_million, parse_per_second};
pub use figures::PriceFigures;
pub use list::{Expiry, Prices};
pub use names::{fine_tuned, undated};
pub use period::PricePeriod;
pub use rated::KnownCost;
pub use reported::{REPORTED, reported_cost};
pub use table::AS_OF;
pub use terms::{OtherPrices, PriceTerms, Region, Tier};

/// The price of a model, the days on which it applies, and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// Rates of requests up to [`LongContextRates::above_tokens`] of input, if there is such a bound.
    pub rates: Rates,
    /// Rates of longer requests.
    pub long: Option<LongContextRates>,
    /// Rates of units other than tokens.
    pub units: UnitRates,
    /// Rates at other terms; the fields above are the standard rates.
    pub others: Arc<OtherPrices>,
    /// The days on which the price applies.
    pub period: PricePeriod,
    /// Maximum input and output tokens of the model, if the source of the price states them.
    pub limits: Option<TokenLimits>,
    /// The name of this row that a usage event stores, so that its cost can be computed again: table, day and period.
    pub version: Arc<str>,
    /// The source of the figures.
    pub source: Arc<str>,
    /// The day on which the source was read, `YYYY-MM-DD`; empty for configured prices.
    pub as_of: Arc<str>,
}

/// Higher rates of long requests: they apply to the whole request, including output and caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongContextRates {
    /// The rates apply if all input, including cache reads and writes, exceeds this number of tokens.
    pub above_tokens: u64,
    /// The rates that then apply.
    pub rates: Rates,
}

/// Maximum input and output tokens of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLimits {
    /// Tokens of input, cached ones included.
    pub input_tokens_max: u64,
    /// Tokens of one response, reasoning included.
    pub output_tokens_max: u64,
}

/// Days after which figures of the built-in table are marked as old.
const STALE_AFTER_DAYS: u32 = 14;

impl Price {
    /// Whether the price is one of the built-in table whose figures are older than two weeks on the day `today`.
    #[must_use]
    pub fn is_stale(&self, today: Day) -> bool {
        let read_at = Day::parse(&self.as_of);
        let is_builtin = self.version.starts_with(table::VERSION);
        is_builtin && read_at.is_some_and(|day| today.0 > day.0.saturating_add(STALE_AFTER_DAYS))
    }

    /// Returns the cost of `usage`: its tokens and tool calls if any tokens are reported, otherwise its unit, and the
    /// fee per request. `None` if neither is known, or if a used class has no price; a free model always costs zero.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Option<NanoUsd> {
        if self.is_free() {
            return Some(NanoUsd(0));
        }
        if self.units.request_line().is_some() {
            return self.lines(usage).map(|lines| total(&lines));
        }
        match (usage.has_tokens(), usage.tools.is_empty()) {
            (true, true) => self.rates_for(usage).cost(usage),
            (true, false) => self.lines(usage).map(|lines| total(&lines)),
            (false, true) => usage.billed.and_then(|billed| self.units.cost(billed)),
            // The model that called the tools used tokens too.
            (false, false) => None,
        }
    }

    /// Returns the cost of `usage` line by line; a free model may have no line.
    #[must_use]
    pub fn lines(&self, usage: &Usage) -> Option<Vec<Line>> {
        self.card().lines(usage)
    }

    /// Returns the rates of the price.
    #[must_use]
    pub fn card(&self) -> RateCard {
        let long = self.long.map(|long| LongRates { above_tokens: Tokens(long.above_tokens), rates: long.rates });
        RateCard { rates: self.rates, long, units: self.units }
    }

    /// Returns the cost of the parts of `usage` that have a rate at `terms`. A missing rate of long requests is replaced
    /// by that of short ones, which is lower. If `terms` are unknown or have no rates, the standard rates apply: the result
    /// then exceeds the real cost if the terms are cheaper.
    #[must_use]
    pub fn cost_at_least(&self, terms: Option<PriceTerms>, usage: &Usage) -> NanoUsd {
        let at = terms.and_then(|terms| self.with_terms(terms));
        let price = at.as_deref().unwrap_or(self);
        let rates = known_or_free(price.rates_for(usage), &price.rates);
        let billed = if usage.has_tokens() { None } else { usage.billed };
        let mut lines = rates.lines(usage).unwrap_or_default();
        lines.extend(billed.and_then(|billed| price.units.line(billed)));
        for (place, count) in usage.tools.counts().into_iter().enumerate() {
            let alone = std::array::from_fn(|other| if other == place { count } else { None });
            lines.extend(price.units.tool_lines(&ToolCalls::of_counts(alone)).unwrap_or_default());
        }
        lines.extend(price.units.request_line());
        total(&lines)
    }

    /// Whether the price is one of the configuration.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.as_of.is_empty()
    }

    fn is_free(&self) -> bool {
        self.rates == Rates::flat(0) && self.units == UnitRates::flat(0)
    }

    /// Returns the rates that apply to a request.
    fn rates_for(&self, usage: &Usage) -> &Rates {
        match &self.long {
            Some(long) if usage.all_input() > Some(Tokens(long.above_tokens)) => &long.rates,
            _ => &self.rates,
        }
    }
}

/// Returns `rates`, with missing rates taken from `other`; rates that both lack are zero.
fn known_or_free(rates: &Rates, other: &Rates) -> Rates {
    let known = |rate: fn(&Rates) -> Option<u64>| rate(rates).or(rate(other)).or(Some(0));
    Rates {
        input: known(|rates| rates.input),
        cached_input: known(|rates| rates.cached_input),
        cache_write_short: known(|rates| rates.cache_write_short),
        cache_write_long: known(|rates| rates.cache_write_long),
        output: known(|rates| rates.output),
        audio_input: known(|rates| rates.audio_input),
        image_input: known(|rates| rates.image_input),
        audio_output: known(|rates| rates.audio_output),
        image_output: known(|rates| rates.image_output),
    }
}

#[cfg(test)]
mod tests {
    use access::{Day, Tokens};
    use meter::{BilledQuantity, Source, Unit};

    use super::*;

    /// The day 2026-11-21 in UTC.
    const DAY: Day = Day(20_778);

    fn flat(rate: u64) -> Price {
        Price::configured(Rates::flat(rate), UnitRates::default())
    }

    #[test]
    fn built_in_figures_are_old_after_two_weeks_and_configured_ones_never() {
        let prices = Prices::builtin();
        let price = prices.find("openai", ["gpt-5"], DAY).unwrap();
        assert!(!price.is_stale(DAY) && !price.is_stale(Day(DAY.0 + 14)) && price.is_stale(Day(DAY.0 + 15)));
        let of_file = Price::of_file(PriceFigures::default(), "page", "2026-11-21");
        assert!(!of_file.is_stale(Day(DAY.0 + 400)) && !flat(1).is_stale(Day(DAY.0 + 400)));
    }

    #[test]
    fn long_requests_cost_the_long_rates_as_a_whole() {
        let price =
            Price { long: Some(LongContextRates { above_tokens: 100, rates: flat(5_000).rates }), ..flat(1_000) };
        let usage = Usage {
            input: Some(Tokens(60)),
            cached_input: Some(Tokens(40)),
            output: Some(Tokens(10)),
            ..Usage::empty(Source::Reported)
        };
        assert_eq!(price.cost(&usage), Some(NanoUsd(110)));
        assert_eq!(price.cost(&Usage { cache_write_short: Some(Tokens(1)), ..usage }), Some(NanoUsd(555)));
        assert_eq!(price.cost(&Usage::empty(Source::Reported)), None);
        for usage in [usage, Usage { cache_write_short: Some(Tokens(1)), ..usage }] {
            assert_eq!(price.lines(&usage).map(|lines| meter::rating::total(&lines)), price.cost(&usage));
        }
        assert_eq!(price.lines(&Usage::empty(Source::Reported)), None);
    }

    #[test]
    fn the_known_part_of_an_unknown_cost_is_its_minimum() {
        let rates = Rates { input: Some(1_000), output: Some(5_000), ..Rates::default() };
        let long =
            Some(LongContextRates { above_tokens: 100, rates: Rates { input: Some(2_000), ..Rates::default() } });
        let units = UnitRates { search: Some(7_000), request: Some(3_000), image: Some(9_000), ..UnitRates::default() };
        let others = OtherPrices { tiers: vec![(Tier::Flex, Rates::flat(500), None)], ..OtherPrices::default() };
        let price = Price::of_configuration(PriceFigures { rates, long, units, others, ..PriceFigures::default() });
        let least = |terms, usage: Usage| price.cost_at_least(terms, &usage).0;
        let standard = Some(PriceTerms::default());
        let tokens = Usage { input: Some(Tokens(60)), output: Some(Tokens(10)), ..Usage::empty(Source::Reported) };
        assert_eq!(Some(NanoUsd(least(standard, tokens))), price.cost(&tokens), "it is the cost where that is known");
        let searched =
            ToolCalls { searches: Some(2), file_searches: Some(9), maps_prompts: Some(1), ..ToolCalls::default() };
        let heard = Usage { audio_input: Some(Tokens(9)), tools: searched, ..tokens };
        assert_eq!(price.cost(&heard), None);
        for (terms, usage, nano) in [
            (standard, heard, 60 + 50 + 2 * 7 + 3),
            (Some(PriceTerms { tier: Tier::Flex, us: false }), tokens, 30 + 5 + 3),
            // Unknown terms, and terms without rates in the price.
            (None, tokens, 60 + 50 + 3),
            (Some(PriceTerms { tier: Tier::Priority, us: false }), tokens, 60 + 50 + 3),
            // The long rates have only a rate of input.
            (standard, Usage { input: Some(Tokens(200)), ..tokens }, 400 + 50 + 3),
            (
                standard,
                Usage {
                    billed: Some(BilledQuantity { unit: Unit::Image, quantity: 2 }),
                    ..Usage::empty(Source::Counted)
                },
                18 + 3,
            ),
            (standard, Usage::empty(Source::Reported), 3),
        ] {
            assert_eq!(least(terms, usage), nano, "{usage:?}");
        }
    }

    #[test]
    fn usage_without_tokens_is_priced_per_unit() {
        let prices = Prices::builtin();
        let cost = |name: &str, unit, quantity| {
            let (provider, model) = name.split_once('/').unwrap();
            let usage = Usage { billed: Some(BilledQuantity { unit, quantity }), ..Usage::empty(Source::Counted) };
            prices.find(provider, [model], DAY).unwrap().cost(&usage).map(|cost| cost.0)
        };
        // 0.006 USD per minute, 15 USD per million characters.
        assert_eq!(cost("openai/whisper-1", Unit::Millisecond, 60_000), Some(6_000_000));
        assert_eq!(cost("openai/tts-1", Unit::Character, 1_000_000), Some(15_000_000_000));
        assert_eq!(cost("mock/any", Unit::Image, 2), Some(80_000_000));
        assert_eq!(cost("openai/tts-1", Unit::Image, 1), None);
        assert_eq!(cost("openai/gpt-image-2", Unit::Image, 1), None);
        let whisper = prices.find("openai", ["whisper-1"], DAY).unwrap();
        assert_eq!(whisper.cost(&Usage { input: Some(Tokens(1)), ..Usage::empty(Source::Reported) }), None);
    }

    #[test]
    fn media_and_long_gemini_prompts_have_separate_rates() {
        let prices = Prices::builtin();
        let usage =
            Usage { audio_input: Some(Tokens(1_000)), output: Some(Tokens(10)), ..Usage::empty(Source::Reported) };
        let cost = |model, usage: &Usage| prices.find("gemini", [model], DAY).unwrap().cost(usage).map(|cost| cost.0);
        assert_eq!(cost("gemini-2.5-flash", &usage), Some(1_000_000 + 25_000));
        assert_eq!(cost("gemini-3.6-flash", &usage), None, "its audio has no price in the source");
        let image =
            Usage { input: Some(Tokens(10)), image_output: Some(Tokens(1_290)), ..Usage::empty(Source::Reported) };
        assert_eq!(cost("gemini-2.5-flash-image", &image), Some(3_000 + 38_700_000));
        let long =
            |cached_input| Usage { input: Some(Tokens(1_000)), cached_input: Some(Tokens(cached_input)), ..usage };
        let long = |cached_input| Usage { audio_input: None, ..long(cached_input) };
        assert_eq!(cost("gemini-2.5-pro", &long(199_000)), Some(1_250_000 + 24_875_000 + 100_000));
        assert_eq!(cost("gemini-2.5-pro", &long(199_001)), Some(2_500_000 + 49_750_250 + 150_000));
    }

    #[test]
    fn free_usage_costs_exactly_zero() {
        let prices = Prices::builtin();
        for model in ["omni-moderation-latest", "omni-moderation-2024-09-26"] {
            let price = prices.find("openai", [model], DAY).unwrap();
            assert_eq!(price.cost(&Usage::empty(Source::Reported)), Some(NanoUsd(0)), "{model}");
            assert_eq!(price.lines(&Usage::empty(Source::Reported)), Some(Vec::new()), "{model}");
        }
    }
}
