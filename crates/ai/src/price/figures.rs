//! Prices that operators write in the configuration or in a price file.

use std::sync::Arc;

use meter::{Rates, UnitRates};

use super::{LongContextRates, OtherPrices, Price, PricePeriod, Prices, Region, Tier, TokenLimits, server_tools};

/// The figures of a price that an operator has written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceFigures {
    /// Rates of requests at the standard terms.
    pub rates: Rates,
    /// Rates of long requests at these terms.
    pub long: Option<LongContextRates>,
    /// Rates of units other than tokens.
    pub units: UnitRates,
    /// Rates at other terms.
    pub others: OtherPrices,
    /// The days on which the price applies.
    pub period: PricePeriod,
    /// Maximum input and output tokens of the model.
    pub limits: Option<TokenLimits>,
}

impl Price {
    /// Creates a price of the configuration, with the standard terms only and without an end.
    #[must_use]
    pub fn configured(rates: Rates, units: UnitRates) -> Self {
        Self::of_configuration(PriceFigures { rates, units, ..PriceFigures::default() })
    }

    /// Creates a price of the configuration. Its version spells out the figures: text rates in [`Rates`]' order
    /// (pico-USD per token), then the other rates, by name. Rates of long requests and of tiers are represented by a
    /// fingerprint.
    #[must_use]
    pub fn of_configuration(figures: PriceFigures) -> Self {
        let spelled = spelled(&figures.rates, &figures.units);
        let has_more = figures.long.is_some() || figures.others != OtherPrices::default();
        let more = if has_more { format!("+more:{:016x}", figures.fingerprint()) } else { String::new() };
        let version = format!("configured-{spelled}{more}");
        Self::from_figures(figures, &version, "configuration".into(), "".into())
    }

    /// Creates a price of a price file of the day `as_of`. Its version names that day and a fingerprint of the figures.
    #[must_use]
    pub fn of_file(figures: PriceFigures, source: &str, as_of: &str) -> Self {
        let version = format!("file-{as_of}-{:016x}", figures.fingerprint());
        Self::from_figures(figures, &version, source.into(), as_of.into())
    }

    fn from_figures(figures: PriceFigures, version: &str, source: Arc<str>, as_of: Arc<str>) -> Self {
        let PriceFigures { rates, long, units, others, period, limits } = figures;
        let version = format!("{version}{}", period.suffix()).into();
        Self { rates, long, units, others: Arc::new(others), period, limits, version, source, as_of }
    }

    /// Returns the price with all token rates multiplied by `factor` and divided by `divisor`; `None` if a result is
    /// not a whole number of pico-USD.
    pub(super) fn times(&self, factor: u64, divisor: u64) -> Option<Self> {
        let rates = |rates: &Rates| rates.times(factor, divisor);
        let long = |long: Option<LongContextRates>| match long {
            Some(long) => Some(Some(LongContextRates { rates: rates(&long.rates)?, ..long })),
            None => Some(None),
        };
        let tier = |(tier, of_tier, of_long): &(Tier, Rates, Option<LongContextRates>)| {
            Some((*tier, rates(of_tier)?, long(*of_long)?))
        };
        let tiers: Option<Vec<_>> = self.others.tiers.iter().map(tier).collect();
        let others = Arc::new(OtherPrices { tiers: tiers?, ..(*self.others).clone() });
        Some(Self { rates: rates(&self.rates)?, long: long(self.long)?, others, ..self.clone() })
    }
}

impl PriceFigures {
    /// Adds the missing fees of the provider's own tools: those of `model` in the part `provider` of a price table,
    /// which is the name of a kind or a host.
    #[must_use]
    pub fn with_server_tools(self, provider: &str, model: &str) -> Self {
        Self { units: server_tools::filled(self.units, provider, model), ..self }
    }

    /// Makes the cost of long requests unknown if `table` has rates of long requests for the model and these figures
    /// have none: rates of short requests would be too low. Then also returns the number of tokens above which a
    /// request is long.
    #[must_use]
    pub fn with_long_of(self, table: &Prices, provider: &str, model: &str) -> (Self, Option<u64>) {
        let above_tokens = if self.long.is_none() { table.long_above(provider, model) } else { None };
        let Some(above_tokens) = above_tokens else { return (self, None) };
        let long = Some(LongContextRates { above_tokens, rates: Rates::default() });
        let tiers = self.others.tiers.into_iter().map(|(tier, rates, of_tier)| (tier, rates, of_tier.or(long)));
        let others = OtherPrices { tiers: tiers.collect(), ..self.others };
        (Self { long, others, ..self }, Some(above_tokens))
    }

    /// Returns the FNV-1a hash, 64 bits, of all rates in a fixed order. It distinguishes an operator's own revisions of
    /// a price; an attacker gains nothing from a collision.
    fn fingerprint(&self) -> u64 {
        const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let OtherPrices { tiers, us_tenth, region } = &self.others;
        let region = match region {
            Region::Unknown => "unknown",
            Region::Same => "same",
            Region::TenthMore => "tenth_more",
        };
        let mut text = format!("{}|{}|{us_tenth}|{region}", spelled(&self.rates, &self.units), long(self.long));
        for (tier, rates, of_tier) in tiers {
            text += &format!("|{}:{}|{}", tier.as_str(), spelled(rates, &UnitRates::default()), long(*of_tier));
        }
        text.bytes().fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
    }
}

fn long(long: Option<LongContextRates>) -> String {
    let written =
        |long: LongContextRates| format!(">{}:{}", long.above_tokens, spelled(&long.rates, &UnitRates::default()));
    long.map(written).unwrap_or_default()
}

fn spelled(rates: &Rates, units: &UnitRates) -> String {
    let text = [rates.input, rates.cached_input, rates.cache_write_short, rates.cache_write_long, rates.output];
    let text = text.map(|rate| rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string()));
    let image_input = if rates.image_input == rates.input { None } else { rates.image_input };
    let others = [
        ("audio_input", rates.audio_input),
        ("image_input", image_input),
        ("audio_output", rates.audio_output),
        ("image_output", rates.image_output),
        ("image", units.image),
        ("millisecond", units.millisecond),
        ("character", units.character),
        ("search", units.search),
        ("search_prompt", units.search_prompt),
        ("maps_query", units.maps_query),
        ("maps_prompt", units.maps_prompt),
        ("container", units.container),
        ("file_search", units.file_search),
        ("request", units.request),
    ];
    let others = others.into_iter().filter_map(|(name, rate)| Some(format!("+{name}:{}", rate?)));
    format!("{}{}", text.join("/"), others.collect::<String>())
}

#[cfg(test)]
mod tests {
    use access::Day;

    use super::*;
    use crate::price::PriceTerms;

    fn figures() -> PriceFigures {
        let long = LongContextRates { above_tokens: 200, rates: Rates::flat(20) };
        let others =
            OtherPrices { tiers: vec![(Tier::Batch, Rates::flat(5_000), Some(long))], ..OtherPrices::default() };
        PriceFigures { rates: Rates::flat(10), long: Some(long), others, ..PriceFigures::default() }
    }

    #[test]
    fn a_version_changes_with_every_figure_and_with_the_days() {
        let plain = figures();
        let mut versions: Vec<Arc<str>> = Vec::new();
        let long = |above_tokens, rate| Some(LongContextRates { above_tokens, rates: Rates::flat(rate) });
        let tiers =
            |tier, rate, long| OtherPrices { tiers: vec![(tier, Rates::flat(rate), long)], ..OtherPrices::default() };
        let of_tier = plain.long;
        for changed in [
            plain.clone(),
            PriceFigures { rates: Rates::flat(11), ..plain.clone() },
            PriceFigures { long: long(201, 20), ..plain.clone() },
            PriceFigures { long: long(200, 21), ..plain.clone() },
            PriceFigures { long: None, ..plain.clone() },
            PriceFigures { units: UnitRates { request: Some(1), ..UnitRates::default() }, ..plain.clone() },
            PriceFigures { units: UnitRates { search: Some(1), ..UnitRates::default() }, ..plain.clone() },
            PriceFigures { units: UnitRates { search_prompt: Some(1), ..UnitRates::default() }, ..plain.clone() },
            PriceFigures { units: UnitRates { maps_query: Some(1), ..UnitRates::default() }, ..plain.clone() },
            PriceFigures { units: UnitRates { maps_prompt: Some(1), ..UnitRates::default() }, ..plain.clone() },
            PriceFigures { units: UnitRates { container: Some(1), ..UnitRates::default() }, ..plain.clone() },
            PriceFigures { units: UnitRates { file_search: Some(1), ..UnitRates::default() }, ..plain.clone() },
            PriceFigures { others: tiers(Tier::Flex, 5_000, of_tier), ..plain.clone() },
            PriceFigures { others: tiers(Tier::Batch, 6, of_tier), ..plain.clone() },
            PriceFigures { others: tiers(Tier::Batch, 5_000, None), ..plain.clone() },
            PriceFigures { others: OtherPrices { us_tenth: true, ..plain.others.clone() }, ..plain.clone() },
            PriceFigures { others: OtherPrices { region: Region::Same, ..plain.others.clone() }, ..plain.clone() },
            PriceFigures { period: PricePeriod { from: Some(Day(1)), until: None }, ..plain.clone() },
            PriceFigures { period: PricePeriod { from: None, until: Some(Day(1)) }, ..plain },
        ] {
            versions.push(Price::of_configuration(changed.clone()).version);
            versions.push(Price::of_file(changed.clone(), "s", "2026-12-01").version);
            versions.push(Price::of_file(changed, "s", "2026-12-02").version);
        }
        let count = versions.len();
        versions.sort();
        versions.dedup();
        assert_eq!(versions.len(), count);
    }

    #[test]
    fn a_price_that_an_operator_wrote_has_its_tiers_and_is_found_by_their_versions() {
        let price = Price::of_file(figures(), "page", "2026-12-01");
        let batch = price.with_terms(PriceTerms { tier: Tier::Batch, us: false }).unwrap();
        assert_eq!((batch.rates.input, batch.long.unwrap().rates.input), (Some(5_000), Some(20)));
        assert_eq!(price.of_version(&batch.version).as_ref(), Some(&batch));
        assert_eq!((&*price.source, &*price.as_of), ("page", "2026-12-01"));
    }

    #[test]
    fn a_multiple_is_of_every_rate_of_tokens_and_of_nothing_else() {
        let units = UnitRates { search: Some(7), ..UnitRates::default() };
        let price = Price::of_configuration(PriceFigures { units, ..figures() }).times(11, 10).unwrap();
        let batch = &price.others.tiers[0];
        assert_eq!((price.rates, price.long.unwrap().rates), (Rates::flat(11), Rates::flat(22)));
        assert_eq!((batch.1.input, batch.2.unwrap().rates.input, price.units), (Some(5_500), Some(22), units));
    }
}
