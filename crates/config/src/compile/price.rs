//! Compiles `prices`, and the figures of every price, including those of a price file.

use std::collections::HashMap;

use ai::price::{LongContextRates, OtherPrices, Price, PriceFigures, PricePeriod, Prices, Tier, TokenLimits};
use meter::{Rates, UnitRates};
use settings::error::{Code, Problem, ValueOrigin};
use settings::field::Entries;
use settings::input::Input;
use settings::section::{Location, SettingsReader};

use super::UsedNames;
use super::llm::Providers;
use crate::note::Note;
use crate::resolve::{MOCK, table_of};
use crate::schema::price::{FiguresInput, LongInput, PriceInput, RatesInput, TierInput};
use crate::schema::traffic::is_model;

/// Prices of units other than tokens, in place of token prices.
const PER_UNIT: [&str; 3] = ["per_image", "per_second", "per_character"];

/// Returns the prices of the configuration. If a price lacks rates of long requests that `table` has, their cost is
/// unknown, and a note says so: the configured rates would be too low.
pub(super) fn prices(
    reader: &SettingsReader<'_>,
    entries: &mut Entries<PriceInput>,
    providers: &Providers,
    table: &Prices,
    notes: &mut Vec<Note>,
) -> Prices {
    let mut rows = PriceRows::default();
    let mut prices = Prices::default();
    for PriceInput { location, figures: input, model } in &mut entries.list {
        let model = model.as_ref().filter(|model| is_priced(reader, location, model, providers));
        let figures = figures(reader, input);
        if let Some(model) = model
            && rows.take(reader, model, figures.period)
        {
            let (figures, above_tokens) = with_table(figures, &model.value, providers, table);
            set_fees(input, &figures.units);
            notes.extend(above_tokens.map(|above_tokens| long_unknown(reader, model, above_tokens)));
            prices = prices.with(&model.value, Price::of_configuration(figures));
        }
    }
    prices
}

/// Adds the fees of the provider's own tools that the row of `name` lacks, if `table` applies to the provider. Also
/// returns the number of tokens above which the cost of a request is unknown, if the row lacks rates of long requests.
fn with_table(figures: PriceFigures, name: &str, providers: &Providers, table: &Prices) -> (PriceFigures, Option<u64>) {
    let Some((provider, model)) = name.split_once('/') else { return (figures, None) };
    let known = providers.on.iter().chain(&providers.offered).find(|known| *known.name == *provider);
    let part = known.map(|known| table_of(known)).or((provider == MOCK && providers.mock.on).then_some(MOCK));
    match part {
        Some(part) => figures.with_server_tools(part, model).with_long_of(table, part, model),
        None => (figures, None),
    }
}

/// Returns the note that the price of `model` has no rates of long requests.
fn long_unknown(reader: &SettingsReader<'_>, model: &Input<String>, above_tokens: u64) -> Note {
    let file = reader.file();
    let place = model.value_origin().and_then(ValueOrigin::place);
    let place = place.map_or_else(|| file.to_owned(), |place| format!("{file}:{}:{}", place.line, place.column));
    Note::LongUnknown { place, model: model.value.clone(), above_tokens }
}

/// Adds the fees of the provider's own tools to the input.
fn set_fees(input: &mut FiguresInput, units: &UnitRates) {
    for (fee, rate) in [
        (&mut input.per_search, units.search),
        (&mut input.per_search_prompt, units.search_prompt),
        (&mut input.per_maps_query, units.maps_query),
        (&mut input.per_maps_prompt, units.maps_prompt),
        (&mut input.per_container, units.container),
        (&mut input.per_file_search, units.file_search),
    ] {
        set_default(fee, rate);
    }
}

/// Sets an absent rate; returns the effective rate.
fn set_default(input: &mut Option<Input<u64>>, rate: Option<u64>) -> Option<u64> {
    if input.is_none() {
        *input = rate.map(Input::default);
    }
    value(input)
}

fn value<T: Copy>(input: &Option<Input<T>>) -> Option<T> {
    input.as_ref().map(|input| input.value)
}

/// The rows that were read: a model may have several, which share no day.
#[derive(Default)]
pub(super) struct PriceRows(HashMap<String, Vec<(PricePeriod, Option<ValueOrigin>)>>);

impl PriceRows {
    /// Records a row and reports one that shares a day with an earlier row. Returns whether the row shares no day.
    pub(super) fn take(&mut self, reader: &SettingsReader<'_>, model: &Input<String>, period: PricePeriod) -> bool {
        let rows = self.0.entry(model.value.clone()).or_default();
        let Some((_, first)) = rows.iter().find(|(earlier, _)| earlier.overlaps(period)) else {
            rows.push((period, model.value_origin()));
            return true;
        };
        let message = match model.foreign {
            true => "a second price of one model for the same days".to_owned(),
            false => format!("a second price of `{}` for the same days", model.value),
        };
        let problem = Problem::new(Code::Duplicate, model.value_origin(), message)
            .expected("days that no other price has: `from` and `until`");
        reader.report(problem.first(*first));
        false
    }
}

/// Whether `name` is `PROVIDER/MODEL` of an existing provider: a price under another name would never be used.
fn is_priced(reader: &SettingsReader<'_>, location: &Location, name: &Input<String>, providers: &Providers) -> bool {
    let Some((provider, _)) = name.value.split_once('/').filter(|(_, model)| is_model(model)) else {
        let at = name.value_origin().unwrap_or(location.at);
        reader.bad(at, &location.name("model"), "PROVIDER/MODEL: openai/gpt-5-mini");
        return false;
    };
    let is_known = providers.names.iter().any(|name| name == provider);
    if !is_known {
        let provider = name.derived(provider.to_owned());
        reader.unknown_name(&provider, "provider", providers.names.iter().map(String::as_str));
    }
    is_known
}

/// Returns the figures of one price. Rates that follow from others are added to the input.
pub(super) fn figures(reader: &SettingsReader<'_>, input: &mut FiguresInput) -> PriceFigures {
    let long = long(reader, input.long.as_mut());
    let mut tiers = tiers(reader, &mut input.tiers);
    for (_, _, of_tier) in &mut tiers {
        // Long requests cost more: at a tier without rates for them, their cost is unknown.
        *of_tier = of_tier.or(long.map(|long| LongContextRates { rates: Rates::default(), ..long }));
    }
    PriceFigures {
        rates: rates(reader, &mut input.rates),
        long,
        units: units(input),
        others: OtherPrices { tiers, us_tenth: input.us_uplift.value, ..OtherPrices::default() },
        period: period(reader, input),
        limits: limits(reader, input),
    }
}

/// Returns the prices of tokens. Cached input, cache writes and input images without a price cost as much as input, and
/// the long lifetime as much as the short one. No other missing price is replaced.
fn rates(reader: &SettingsReader<'_>, rates: &mut RatesInput) -> Rates {
    let location = &rates.location;
    let is_sold_otherwise = PER_UNIT.iter().any(|key| location.has(key));
    let needed = |key: &str| !(is_sold_otherwise || key == "output" && location.has("image_output"));
    for key in ["input", "output"] {
        if !location.has(key) && needed(key) {
            location.missing(reader, &[key]);
        }
    }
    let input = value(&rates.input);
    let cache_write_short = set_default(&mut rates.cache_write, input);
    Rates {
        input,
        cached_input: set_default(&mut rates.cached_input, input),
        cache_write_short,
        cache_write_long: set_default(&mut rates.cache_write_long, cache_write_short),
        output: value(&rates.output),
        audio_input: value(&rates.audio_input),
        image_input: set_default(&mut rates.image_input, input),
        audio_output: value(&rates.audio_output),
        image_output: value(&rates.image_output),
    }
}

fn units(input: &FiguresInput) -> UnitRates {
    UnitRates {
        image: value(&input.per_image),
        millisecond: value(&input.per_second),
        character: value(&input.per_character),
        search: value(&input.per_search),
        search_prompt: value(&input.per_search_prompt),
        maps_query: value(&input.per_maps_query),
        maps_prompt: value(&input.per_maps_prompt),
        container: value(&input.per_container),
        file_search: value(&input.per_file_search),
        request: value(&input.per_request),
    }
}

fn long(reader: &SettingsReader<'_>, input: Option<&mut LongInput>) -> Option<LongContextRates> {
    let input = input?;
    let rates = rates(reader, &mut input.rates);
    value(&input.above_tokens).map(|above_tokens| LongContextRates { above_tokens, rates })
}

fn tiers(
    reader: &SettingsReader<'_>,
    entries: &mut Entries<TierInput>,
) -> Vec<(Tier, Rates, Option<LongContextRates>)> {
    let mut taken = UsedNames::default();
    let mut tiers = Vec::new();
    for TierInput { rates: of_tier, tier, long: of_long, .. } in &mut entries.list {
        let rates = rates(reader, of_tier);
        let long = long(reader, of_long.as_mut());
        if let Some(tier) = tier
            && taken.take(reader, &tier.derived(tier.value.as_str().to_owned()), "tier")
        {
            tiers.push((tier.value, rates, long));
        }
    }
    tiers
}

fn period(reader: &SettingsReader<'_>, input: &FiguresInput) -> PricePeriod {
    let period = PricePeriod { from: value(&input.from), until: value(&input.until) };
    if !period.is_ordered()
        && let Some(until) = &input.until
    {
        let at = until.value_origin().unwrap_or(input.location.at);
        reader.bad(at, &input.location.name("until"), "a day that is not before `from`");
    }
    period
}

fn limits(reader: &SettingsReader<'_>, input: &FiguresInput) -> Option<TokenLimits> {
    let keys = ["input_tokens_max", "output_tokens_max"];
    let location = &input.location;
    if keys.iter().any(|key| location.has(key)) {
        keys.iter().filter(|key| !location.has(key)).for_each(|key| location.missing(reader, &[key]));
    }
    let limits = value(&input.input_tokens_max).zip(value(&input.output_tokens_max));
    limits.map(|(input_tokens_max, output_tokens_max)| TokenLimits { input_tokens_max, output_tokens_max })
}
