//! Compiles `prices`, and the figures of every price, including those of a price file.

use std::collections::HashMap;

use access::Day;
use access::usd::UsdError;
use ai::price::{
    Limits, Long, Others, Period, Price, PriceFigures, Prices, Tier, parse_each, parse_per_million, parse_per_second,
};
use meter::{Rates, UnitRates};

use super::UsedNames;
use super::llm::Providers;
use super::model::is_model;
use crate::error::{At, Code, Problem};
use crate::grammar;
use crate::resolve::{MOCK, table_of};
use crate::section::{Section, Text};

/// Prices of units other than tokens, in place of token prices.
const PER_UNIT: [&str; 3] = ["per_image", "per_second", "per_character"];
/// Maximum number of tokens in a model's limits.
const TOKENS_MAX: u64 = 1_000_000_000;
/// A description of valid days.
const DAY: &str = "a day from 1970 on: 2026-12-31";
const TIERS: [(&str, Tier); 5] = [
    ("batch", Tier::Batch),
    ("fast", Tier::Fast),
    ("flex", Tier::Flex),
    ("priority", Tier::Priority),
    ("ultrafast", Tier::Ultrafast),
];

/// Returns the prices of the configuration.
pub(super) fn prices(root: &Section<'_>, providers: &Providers) -> Prices {
    let mut rows = PriceRows::default();
    let mut prices = Prices::default();
    for section in root.sections("prices", &grammar::PRICE) {
        let model = section.required("model").filter(|model| is_priced(&section, model, providers));
        let figures = figures(&section);
        if let Some(model) = model
            && rows.take(&section, &model, figures.period)
        {
            let figures = with_server_tools(figures, &model.value, providers);
            prices = prices.with(&model.value, Price::of_configuration(figures));
        }
    }
    prices
}

/// Adds the fees of the provider's own tools that the row of `name` lacks, if the built-in table applies to the
/// provider.
fn with_server_tools(figures: PriceFigures, name: &str, providers: &Providers) -> PriceFigures {
    let Some((provider, model)) = name.split_once('/') else { return figures };
    let on = providers.on.iter().find(|on| *on.name == *provider);
    let table = on.map(|on| table_of(on)).or((provider == MOCK && providers.mock.on).then_some(MOCK));
    match table {
        Some(table) => figures.with_server_tools(table, model),
        None => figures,
    }
}

/// The rows that were read: a model may have several, which share no day.
#[derive(Default)]
pub(super) struct PriceRows(HashMap<String, Vec<(Period, At)>>);

impl PriceRows {
    /// Records a row and reports one that shares a day with an earlier row. Returns whether the row shares no day.
    pub(super) fn take(&mut self, section: &Section<'_>, model: &Text, period: Period) -> bool {
        let rows = self.0.entry(model.value.clone()).or_default();
        let Some((_, first)) = rows.iter().find(|(earlier, _)| earlier.overlaps(period)) else {
            rows.push((period, model.at));
            return true;
        };
        let message = match model.foreign {
            true => "a second price of one model for the same days".to_owned(),
            false => format!("a second price of `{}` for the same days", model.value),
        };
        let problem = Problem::new(Code::Duplicate, model.at, message)
            .expected("days that no other price has: `from` and `until`");
        section.reader().report(problem.first(Some(*first)));
        false
    }
}

/// Whether `name` is `PROVIDER/MODEL` of an existing provider: a price under another name would never be used.
fn is_priced(section: &Section<'_>, name: &Text, providers: &Providers) -> bool {
    let Some((provider, _)) = name.value.split_once('/').filter(|(_, model)| is_model(model)) else {
        section.bad(name.at, "model", "PROVIDER/MODEL: openai/gpt-5-mini");
        return false;
    };
    let is_known = providers.names.iter().any(|name| name == provider);
    if !is_known {
        let provider = Text { at: name.at, value: provider.to_owned(), foreign: name.foreign };
        section.unknown_name(&provider, "provider", providers.names.iter().map(String::as_str));
    }
    is_known
}

/// Returns the figures of one price; invalid figures are reported and ignored.
pub(super) fn figures(section: &Section<'_>) -> PriceFigures {
    let long = long(section);
    let mut tiers = tiers(section);
    for (_, _, of_tier) in &mut tiers {
        // Long requests cost more: at a tier without rates for them, their cost is unknown.
        *of_tier = of_tier.or(long.map(|long| Long { rates: Rates::default(), ..long }));
    }
    let us_tenth = section.boolean("us_uplift").unwrap_or(false);
    PriceFigures {
        rates: rates(section),
        long,
        units: units(section),
        others: Others { tiers, us_tenth, ..Others::default() },
        period: period(section),
        limits: limits(section),
    }
}

/// Returns the prices of tokens. Cached input, cache writes and input images without a price cost as much as input, and
/// the long lifetime as much as the short one. No other missing price is replaced.
fn rates(section: &Section<'_>) -> Rates {
    let is_sold_otherwise = PER_UNIT.iter().any(|key| section.get(key).is_some());
    let needed = |key: &str| !(is_sold_otherwise || key == "output" && section.get("image_output").is_some());
    for key in ["input", "output"] {
        if section.get(key).is_none() && needed(key) {
            section.missing(key);
        }
    }
    let rate = |key: &str| price(section, key, parse_per_million);
    let input = rate("input");
    let cache_write_short = rate("cache_write").or(input);
    Rates {
        input,
        cached_input: rate("cached_input").or(input),
        cache_write_short,
        cache_write_long: rate("cache_write_long").or(cache_write_short),
        output: rate("output"),
        audio_input: rate("audio_input"),
        image_input: rate("image_input").or(input),
        audio_output: rate("audio_output"),
        image_output: rate("image_output"),
    }
}

fn units(section: &Section<'_>) -> UnitRates {
    let each = |key: &str| price(section, key, parse_each);
    UnitRates {
        image: each("per_image"),
        millisecond: price(section, "per_second", parse_per_second),
        character: each("per_character"),
        search: each("per_search"),
        search_prompt: each("per_search_prompt"),
        maps_query: each("per_maps_query"),
        maps_prompt: each("per_maps_prompt"),
        container: each("per_container"),
        file_search: each("per_file_search"),
        request: each("per_request"),
    }
}

fn long(section: &Section<'_>) -> Option<Long> {
    let long = section.section("long", &grammar::PRICE_LONG)?;
    if long.get("above_tokens").is_none() {
        long.missing("above_tokens");
    }
    let above_tokens = long.whole("above_tokens", 1..=TOKENS_MAX);
    let rates = rates(&long);
    above_tokens.map(|above_tokens| Long { above_tokens, rates })
}

fn tiers(section: &Section<'_>) -> Vec<(Tier, Rates, Option<Long>)> {
    let mut taken = UsedNames::default();
    let mut tiers = Vec::new();
    for section in section.sections("tiers", &grammar::PRICE_TIER) {
        let word = section.required("tier");
        let tier = section.word("tier", &TIERS);
        let (rates, long) = (rates(&section), long(&section));
        if let (Some(word), Some(tier)) = (word, tier)
            && taken.take(&section, &word, "tier")
        {
            tiers.push((tier, rates, long));
        }
    }
    tiers
}

fn period(section: &Section<'_>) -> Period {
    let period =
        Period { from: section.parsed("from", DAY, Day::parse), until: section.parsed("until", DAY, Day::parse) };
    if !period.is_ordered() {
        let at = section.get("until").map_or(section.at, |node| node.at);
        section.bad(at, "until", "a day that is not before `from`");
    }
    period
}

fn limits(section: &Section<'_>) -> Option<Limits> {
    let keys = ["input_tokens_max", "output_tokens_max"];
    if keys.iter().any(|key| section.get(key).is_some()) {
        keys.iter().filter(|key| section.get(key).is_none()).for_each(|key| section.missing(key));
    }
    let [input, output] = keys;
    let (input, output) = (section.whole(input, 1..=TOKENS_MAX), section.whole(output, 0..=TOKENS_MAX));
    input.zip(output).map(|(input_tokens_max, output_tokens_max)| Limits { input_tokens_max, output_tokens_max })
}

/// Returns a price that the section may have.
fn price(section: &Section<'_>, key: &str, parse: fn(&str) -> Result<u64, UsdError>) -> Option<u64> {
    let text = section.text(key)?;
    let rate = parse(&text.value);
    if let Err(error) = &rate {
        section.bad(text.at, key, error);
    }
    rate.ok()
}
