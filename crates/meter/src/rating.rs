//! Cost of usage: rates in pico-USD, summed in `i128` and rounded once, half to even.

pub mod credit_price;

use access::NanoUsd;
use serde::{Deserialize, Serialize};

use crate::usage::{BilledQuantity, CLASSES, TOKEN_CLASS_COUNT, ToolCalls, Unit, Usage};

const PICO_PER_NANO: i128 = 1_000;

/// The rate of each token class in pico-USD (1 USD per million tokens is 1,000,000). `None` is unknown, `Some(0)` is
/// free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Text input that was not cached.
    pub input: Option<u64>,
    /// Input read from a cache.
    pub cached_input: Option<u64>,
    /// Input written to a cache with the short lifetime.
    pub cache_write_short: Option<u64>,
    /// Input written to a cache with the long lifetime.
    pub cache_write_long: Option<u64>,
    /// Text output; reasoning has the same rate.
    pub output: Option<u64>,
    /// Audio input that was not cached.
    pub audio_input: Option<u64>,
    /// Image input that was not cached.
    pub image_input: Option<u64>,
    /// Tokens of generated audio.
    pub audio_output: Option<u64>,
    /// Tokens of generated images.
    pub image_output: Option<u64>,
}

/// The rate of each billed unit in pico-USD. `None` is unknown, `Some(0)` is free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRates {
    /// One image that was generated.
    pub image: Option<u64>,
    /// One millisecond of input audio.
    pub millisecond: Option<u64>,
    /// One character of spoken text.
    pub character: Option<u64>,
    /// One search of the web.
    pub search: Option<u64>,
    /// A fee per request, in addition to its other costs. `None` is no fee.
    pub request: Option<u64>,
    /// One prompt for which the provider searched the web, regardless of the number of searches; it replaces `search`.
    pub search_prompt: Option<u64>,
    /// One query to Google Maps.
    pub maps_query: Option<u64>,
    /// One prompt that Google Maps grounded, regardless of the number of queries; it replaces `maps_query`.
    pub maps_prompt: Option<u64>,
    /// One gigabyte of memory of a code interpreter's container.
    pub container: Option<u64>,
    /// One search in stored files.
    pub file_search: Option<u64>,
}

/// One part of a cost: a quantity of a class or unit at one rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// A name of [`CLASSES`], of [`Unit::as_str`], or of a field of [`UnitRates`].
    pub class: &'static str,
    /// The number of tokens or units.
    pub quantity: u64,
    /// The rate in pico-USD.
    pub rate_pico: u64,
}

impl Line {
    /// Returns the cost of the line in pico-USD.
    #[must_use]
    pub fn amount_pico(&self) -> i128 {
        times(self.quantity, self.rate_pico)
    }
}

/// Returns the total cost of lines, rounded once to nano-USD.
#[must_use]
pub fn total(lines: &[Line]) -> NanoUsd {
    rounded(lines.iter().map(Line::amount_pico).fold(0, i128::saturating_add))
}

/// Rounds a cost in pico-USD to nano-USD, half to even.
#[must_use]
pub fn rounded(pico: i128) -> NanoUsd {
    NanoUsd(half_to_even(pico))
}

impl Rates {
    /// Returns the same rate for every class.
    #[must_use]
    pub const fn flat(rate: u64) -> Self {
        let rate = Some(rate);
        Self {
            input: rate,
            cached_input: rate,
            cache_write_short: rate,
            cache_write_long: rate,
            output: rate,
            audio_input: rate,
            image_input: rate,
            audio_output: rate,
            image_output: rate,
        }
    }

    /// Returns each rate multiplied by `factor` and divided by `divisor`; `None` if a result is not a whole number of
    /// pico-USD.
    #[must_use]
    pub fn times(&self, factor: u64, divisor: u64) -> Option<Self> {
        let times = |rate: Option<u64>| match rate {
            None => Some(None),
            Some(rate) => {
                let product = rate.checked_mul(factor)?;
                (product.checked_rem(divisor)? == 0).then(|| product.checked_div(divisor))
            }
        };
        Some(Self {
            input: times(self.input)?,
            cached_input: times(self.cached_input)?,
            cache_write_short: times(self.cache_write_short)?,
            cache_write_long: times(self.cache_write_long)?,
            output: times(self.output)?,
            audio_input: times(self.audio_input)?,
            image_input: times(self.image_input)?,
            audio_output: times(self.audio_output)?,
            image_output: times(self.image_output)?,
        })
    }

    /// Returns the cost of `usage`, rounded once to nano-USD; unknown classes are left out.
    ///
    /// `None` if no class is known, or if a used class has no rate: an unknown cost is never zero.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Option<NanoUsd> {
        let mut known = false;
        let mut pico: i128 = 0;
        for (tokens, rate) in usage.classes().into_iter().zip(self.of_classes()) {
            let Some(tokens) = tokens else { continue };
            known = true;
            if !tokens.is_zero() {
                pico = pico.saturating_add(times(tokens.0, rate?));
            }
        }
        known.then(|| NanoUsd(half_to_even(pico)))
    }

    /// Returns one line per used class; `None` where [`cost`](Self::cost) is `None`.
    #[must_use]
    pub fn lines(&self, usage: &Usage) -> Option<Vec<Line>> {
        let used = usage.classes().into_iter().zip(self.of_classes()).zip(CLASSES);
        let used =
            used.filter_map(|((tokens, rate), class)| Some((class, tokens.filter(|tokens| !tokens.is_zero())?, rate)));
        let lines = used.map(|(class, tokens, rate)| Some(Line { class, quantity: tokens.0, rate_pico: rate? }));
        if usage.has_tokens() { lines.collect() } else { None }
    }

    /// Returns the rate of a class by its name; `None` if it is unknown or of another kind.
    #[must_use]
    pub fn of_class(&self, class: &str) -> Option<u64> {
        CLASSES.into_iter().zip(self.of_classes()).find_map(|(name, rate)| if name == class { rate } else { None })
    }

    /// The rates in the order of [`Usage::classes`].
    const fn of_classes(&self) -> [Option<u64>; TOKEN_CLASS_COUNT] {
        [
            self.input,
            self.cached_input,
            self.cache_write_short,
            self.cache_write_long,
            self.output,
            self.output,
            self.audio_input,
            self.image_input,
            self.audio_output,
            self.image_output,
        ]
    }
}

impl UnitRates {
    /// Returns the same rate for every unit.
    #[must_use]
    pub const fn flat(rate: u64) -> Self {
        let rate = Some(rate);
        Self {
            image: rate,
            millisecond: rate,
            character: rate,
            search: rate,
            search_prompt: rate,
            maps_query: rate,
            maps_prompt: rate,
            container: rate,
            file_search: rate,
            request: rate,
        }
    }

    /// Returns the cost of `billed`, rounded once to nano-USD; `None` if its unit has no rate.
    #[must_use]
    pub fn cost(&self, billed: BilledQuantity) -> Option<NanoUsd> {
        self.line(billed).map(|line| total(&[line]))
    }

    /// Returns the cost of `billed` as a line.
    #[must_use]
    pub fn line(&self, billed: BilledQuantity) -> Option<Line> {
        let rate = match billed.unit {
            Unit::Image => self.image,
            Unit::Millisecond => self.millisecond,
            Unit::Character => self.character,
        };
        rate.map(|rate_pico| Line { class: billed.unit.as_str(), quantity: billed.quantity, rate_pico })
    }

    /// Returns the rate of a class of [`Line`] by its name; `None` if it is unknown or of another kind.
    #[must_use]
    pub fn of_class(&self, class: &str) -> Option<u64> {
        match class {
            "image" => self.image,
            "millisecond" => self.millisecond,
            "character" => self.character,
            "search" => self.search,
            "request" => self.request,
            "search_prompt" => self.search_prompt,
            "maps_query" => self.maps_query,
            "maps_prompt" => self.maps_prompt,
            "container" => self.container,
            "file_search" => self.file_search,
            _ => None,
        }
    }

    /// Returns the fee per request as a line; `None` without a fee.
    #[must_use]
    pub fn request_line(&self) -> Option<Line> {
        let rate = self.request.filter(|rate| *rate > 0);
        rate.map(|rate_pico| Line { class: "request", quantity: 1, rate_pico })
    }

    /// Returns the lines of tool calls; `None` if a call has no rate, or if a rate exists and the number of calls is
    /// unknown.
    #[must_use]
    pub fn tool_lines(&self, tools: &ToolCalls) -> Option<Vec<Line>> {
        let one = |count: Option<u64>| count.map(|count| count.min(1));
        let (search, searches) = match self.search_prompt {
            Some(rate) => (("search_prompt", Some(rate)), one(tools.searches)),
            None => (("search", self.search), tools.searches),
        };
        let is_grounded = tools.maps_prompts.is_some_and(|prompts| prompts > 0);
        let (maps, places) = match self.maps_prompt {
            Some(rate) => (("maps_prompt", Some(rate)), tools.maps_prompts),
            // A grounded prompt made at least one query, but the response may leave them out.
            None if is_grounded => (("maps_query", self.maps_query), Some(tools.maps_queries?)),
            None => (("maps_query", self.maps_query), tools.maps_queries),
        };
        let used = [
            (search, searches),
            (maps, places),
            (("container", self.container), tools.containers),
            (("file_search", self.file_search), tools.file_searches),
        ];
        let used = used.into_iter().filter_map(|(rate, quantity)| Some((rate, quantity.filter(|count| *count > 0)?)));
        used.map(|((class, rate), quantity)| Some(Line { class, quantity, rate_pico: rate? })).collect()
    }
}

fn times(quantity: u64, rate: u64) -> i128 {
    i128::from(quantity).saturating_mul(i128::from(rate))
}

fn half_to_even(pico: i128) -> i64 {
    let whole = pico.div_euclid(PICO_PER_NANO);
    let rest = pico.rem_euclid(PICO_PER_NANO);
    let up = rest * 2 > PICO_PER_NANO || (rest * 2 == PICO_PER_NANO && whole % 2 != 0);
    i64::try_from(whole + i128::from(up)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use access::Tokens;

    use super::*;
    use crate::usage::Source;

    #[test]
    fn ties_round_to_even() {
        for (pico, nano) in [(0, 0), (499, 0), (500, 0), (501, 1), (1_500, 2), (2_500, 2), (2_501, 3), (3_500, 4)] {
            assert_eq!(half_to_even(pico), nano, "{pico}");
        }
    }

    /// Claude Code's result for this usage (claude-opus-4-8 at 5, 25, 6.25 and 0.5 USD) is $0.00016475.
    #[test]
    fn cost_of_a_cached_response_equals_the_result_of_the_client() {
        let rates = Rates {
            input: Some(5_000_000),
            cached_input: Some(500_000),
            cache_write_short: Some(6_250_000),
            cache_write_long: Some(10_000_000),
            output: Some(25_000_000),
            ..Rates::default()
        };
        let usage = Usage {
            input: Some(Tokens(11)),
            cached_input: Some(Tokens(7)),
            cache_write_short: Some(Tokens(5)),
            output: Some(Tokens(3)),
            ..Usage::empty(Source::Reported)
        };
        assert_eq!(rates.cost(&usage), Some(NanoUsd(164_750)));
    }

    #[test]
    fn fractional_rate_is_refused() {
        let rates = Rates { input: Some(50), output: Some(10), ..Rates::default() };
        assert_eq!(rates.times(11, 10), Some(Rates { input: Some(55), output: Some(11), ..Rates::default() }));
        assert_eq!(Rates { output: Some(1), ..rates }.times(11, 10), None);
        assert_eq!((rates.times(u64::MAX, 1), rates.times(1, 0)), (None, None));
    }

    #[test]
    fn unknown_usage_has_no_cost_and_a_known_zero_costs_zero() {
        let rates = Rates::flat(1);
        let empty = Usage::empty(Source::Reported);
        assert_eq!(rates.cost(&empty), None);
        assert_eq!(rates.cost(&Usage { output: Some(Tokens(0)), ..empty }), Some(NanoUsd(0)));
    }

    #[test]
    fn used_class_without_a_rate_makes_the_cost_unknown() {
        let rates = Rates { audio_input: None, ..Rates::flat(1_000) };
        let usage = Usage { input: Some(Tokens(3)), image_output: Some(Tokens(4)), ..Usage::empty(Source::Reported) };
        assert_eq!(rates.cost(&usage), Some(NanoUsd(7)));
        assert_eq!(rates.cost(&Usage { audio_input: Some(Tokens(0)), ..usage }), Some(NanoUsd(7)));
        assert_eq!(rates.cost(&Usage { audio_input: Some(Tokens(1)), ..usage }), None);
    }

    #[test]
    fn lines_are_the_used_classes_and_add_up_to_the_cost() {
        let rates = Rates { input: Some(333), output: Some(1_501), audio_input: None, ..Rates::flat(7) };
        let usage = Usage {
            input: Some(Tokens(3)),
            cached_input: Some(Tokens(0)),
            output: Some(Tokens(5)),
            reasoning: Some(Tokens(2)),
            ..Usage::empty(Source::Reported)
        };
        let line = |class, quantity, rate_pico| Line { class, quantity, rate_pico };
        let lines = rates.lines(&usage).unwrap();
        assert_eq!(lines, [line("input", 3, 333), line("output", 5, 1_501), line("reasoning", 2, 1_501)]);
        assert_eq!((total(&lines), rates.cost(&usage)), (NanoUsd(12), Some(NanoUsd(12))));
        assert_eq!(rates.lines(&Usage { audio_input: Some(Tokens(1)), ..usage }), None);
        assert_eq!(rates.lines(&Usage::empty(Source::Reported)), None);
        assert_eq!(rates.lines(&Usage { output: Some(Tokens(0)), ..Usage::empty(Source::Reported) }), Some(Vec::new()));
        let image = BilledQuantity { unit: Unit::Image, quantity: 2 };
        assert_eq!(UnitRates::flat(9).line(image), Some(line("image", 2, 9)));
        assert_eq!(UnitRates::default().line(image), None);
    }

    #[test]
    fn request_has_a_fee_only_if_one_is_set() {
        let line = Line { class: "request", quantity: 1, rate_pico: 7 };
        assert_eq!(UnitRates { request: Some(7), ..UnitRates::default() }.request_line(), Some(line));
        assert_eq!((UnitRates::default().request_line(), UnitRates::flat(0).request_line()), (None, None));
    }

    #[test]
    fn tool_calls_cost_per_call_or_per_prompt_and_unknown_is_not_free() {
        let line = |class, quantity, rate_pico| Line { class, quantity, rate_pico };
        let calls =
            ToolCalls { searches: Some(3), containers: Some(4), file_searches: Some(2), ..ToolCalls::default() };
        let by_call = UnitRates { search: Some(10), container: Some(30), file_search: Some(5), ..UnitRates::default() };
        let lines = [line("search", 3, 10), line("container", 4, 30), line("file_search", 2, 5)];
        assert_eq!(by_call.tool_lines(&calls).as_deref(), Some(&lines[..]));
        for gap in [
            UnitRates { search: None, ..by_call },
            UnitRates { container: None, ..by_call },
            UnitRates { file_search: None, ..by_call },
        ] {
            assert_eq!(gap.tool_lines(&calls), None, "{gap:?}");
            assert_eq!(gap.tool_lines(&ToolCalls::default()), Some(Vec::new()));
        }
        let by_prompt = UnitRates { search_prompt: Some(35), maps_prompt: Some(25), ..UnitRates::default() };
        let grounded = ToolCalls { searches: Some(3), maps_prompts: Some(1), ..ToolCalls::default() };
        let lines = [line("search_prompt", 1, 35), line("maps_prompt", 1, 25)];
        assert_eq!(by_prompt.tool_lines(&grounded).as_deref(), Some(&lines[..]));
        let by_query = UnitRates { search: Some(14), maps_query: Some(14), ..UnitRates::default() };
        assert_eq!(by_query.tool_lines(&grounded), None, "the number of Maps queries is unknown");
        let listed = ToolCalls { maps_queries: Some(2), ..grounded };
        let lines = [line("search", 3, 14), line("maps_query", 2, 14)];
        assert_eq!(by_query.tool_lines(&listed).as_deref(), Some(&lines[..]));
    }

    #[test]
    fn every_unit_has_its_own_rate_and_large_costs_saturate() {
        let rates = UnitRates { image: Some(2_000), millisecond: Some(3_000), ..UnitRates::default() };
        let cost = |unit, quantity| rates.cost(BilledQuantity { unit, quantity });
        assert_eq!((cost(Unit::Image, 5), cost(Unit::Millisecond, 5)), (Some(NanoUsd(10)), Some(NanoUsd(15))));
        assert_eq!((cost(Unit::Character, 5), cost(Unit::Image, 0)), (None, Some(NanoUsd(0))));
        let most = UnitRates::flat(u64::MAX).cost(BilledQuantity { unit: Unit::Character, quantity: u64::MAX });
        assert_eq!(most, Some(NanoUsd(i64::MAX)));
    }
}
