//! The built-in prices: a flat table, in pico-USD per token (1 USD per million tokens is 1,000,000).
//!
//! The figures are those of LiteLLM's `model_prices_and_context_window.json` (release 1.109.1, MIT licence, © 2023
//! Berri AI) for the models that were not yet retired on [`AS_OF`]. Other tiers than the standard one are in [`tiers`],
//! the days on which rows apply in [`dates`], other hosts than the providers' own in [`hosts`]. A class without a price
//! there costs as much as input, and the long lifetime as much as the short one. A dated name is listed only if its
//! price differs.

mod dates;
mod hosts;
mod row;
mod tiers;
mod wide;

use std::sync::Arc;

use meter::{Rates, UnitRates};

use super::{LongContextRates, OtherPrices, Price, Region, Tier, server_tools};
use row::{builtin, rates, text_rates, unit_rates};

/// The beginning of the versions of all rows.
pub(super) const VERSION: &str = "builtin-2026-11-21";
/// The day on which the figures of the built-in table were read, `YYYY-MM-DD`.
pub const AS_OF: &str = "2026-11-21";

struct Section {
    provider: &'static str,
    source: &'static str,
    rows: &'static [StandardRow],
}

/// A model, its rates (input, cached input, cache write short and long, output), and the rates above a number of
/// tokens.
///
/// These models read images at the price of text. They accept no audio and generate only text.
type StandardRow = (&'static str, [u64; 5], Option<(u64, [u64; 5])>);

/// Rows of models with more classes than those five.
struct Wide {
    provider: &'static str,
    source: &'static str,
    /// Models that cost nothing.
    free: &'static [&'static str],
    rows: &'static [wide::WideRow],
}

/// Returns every row: `PROVIDER/MODEL` and its price.
pub(super) fn prices() -> impl Iterator<Item = (String, Price)> {
    let text = [OPENAI, ANTHROPIC].into_iter().flat_map(|section| {
        let row = |(model, base, long): &'static StandardRow| {
            let long = long.map(|(above_tokens, long)| LongContextRates { above_tokens, rates: text_rates(long) });
            (*model, text_rates(*base), long, UnitRates::default())
        };
        priced(section.provider, section.source, section.rows.iter().map(row))
    });
    let wide = [wide::OPENAI, wide::GEMINI].into_iter().flat_map(|section| {
        let row = |(model, base, long, units): &'static wide::WideRow| {
            let long = long.map(|(above_tokens, long)| LongContextRates { above_tokens, rates: rates(long) });
            (*model, rates(*base), long, unit_rates(*units))
        };
        let free = section.free.iter().map(|model| (*model, Rates::flat(0), None, UnitRates::flat(0)));
        priced(section.provider, section.source, section.rows.iter().map(row).chain(free))
    });
    let mock = priced("mock", "made up: the mock charges nothing", [("*", rates(MOCK), None, unit_rates(MOCK_UNITS))]);
    let own = mock.chain(text).chain(wide).flat_map(|(provider, model, price)| {
        let rows = dates::rows(provider, model, price);
        rows.into_iter().map(move |row| (format!("{provider}/{model}"), row))
    });
    own.chain(hosts::prices())
}

type PriceParts = (&'static str, Rates, Option<LongContextRates>, UnitRates);

fn priced(
    provider: &'static str,
    source: &'static str,
    rows: impl IntoIterator<Item = PriceParts>,
) -> impl Iterator<Item = (&'static str, &'static str, Price)> {
    let source: Arc<str> = source.into();
    rows.into_iter().map(move |(model, mut rates, mut long, units)| {
        let UnitRates { image, millisecond, character, .. } = units;
        let is_free = units == UnitRates::flat(0);
        let tools = if is_free { units } else { server_tools::rates(provider, model) };
        let units = UnitRates { image, millisecond, character, ..tools };
        let mut others = others(provider, model, &rates, long);
        if wide::AUDIO_AS_TEXT.contains(&model) {
            let tiers = others.tiers.iter_mut().flat_map(|(_, rates, long)| [Some(rates), long_rates(long)]);
            for rates in [Some(&mut rates), long_rates(&mut long)].into_iter().chain(tiers).flatten() {
                rates.audio_input = rates.input;
            }
        }
        (provider, model, builtin(rates, long, units, others, Arc::clone(&source)))
    })
}

fn long_rates(long: &mut Option<LongContextRates>) -> Option<&mut Rates> {
    long.as_mut().map(|long| &mut long.rates)
}

/// Returns the prices of `model` at other terms.
fn others(provider: &str, model: &str, base: &Rates, long: Option<LongContextRates>) -> OtherPrices {
    let rows = match provider {
        "openai" => tiers::OPENAI,
        "anthropic" => tiers::ANTHROPIC,
        "gemini" => tiers::GEMINI,
        _ => &[],
    };
    let of_model = rows.iter().filter(|(name, ..)| *name == model);
    let mut tiers: Vec<_> = of_model
        .map(|(_, tier, figures, long)| {
            let long = long.map(|(above_tokens, figures)| LongContextRates { above_tokens, rates: rates(figures) });
            (*tier, rates(*figures), long)
        })
        .collect();
    let is_anthropic = provider == "anthropic";
    if is_anthropic && tiers::FAST.contains(&model) {
        let long = long.and_then(|long| Some(LongContextRates { rates: long.rates.times(2, 1)?, ..long }));
        tiers.extend(base.times(2, 1).map(|rates| (Tier::Fast, rates, long)));
    }
    let region = if provider == "openai" { dates::region(model) } else { Region::Unknown };
    OtherPrices { tiers, us_tenth: is_anthropic && tiers::US.contains(&model), region }
}

const MOCK: [u64; 9] =
    [1_000_000, 100_000, 1_250_000, 2_000_000, 5_000_000, 3_000_000, 1_500_000, 12_000_000, 30_000_000];
/// 0.04 USD per image, 0.0001 USD per second, 15 USD per million characters.
const MOCK_UNITS: [u64; 3] = [40_000_000_000, 100_000, 15_000_000];

#[rustfmt::skip]
const OPENAI: Section = Section {
    provider: "openai",
    source: "LiteLLM model_prices_and_context_window.json 1.109.1, MIT (developers.openai.com/api/docs/pricing)",
    rows: &[
        ("chat-latest", [5_000_000, 500_000, 5_000_000, 5_000_000, 30_000_000], None),
        ("ft:gpt-4.1", [3_000_000, 750_000, 3_000_000, 3_000_000, 12_000_000], None),
        ("ft:gpt-4.1-mini", [800_000, 200_000, 800_000, 800_000, 3_200_000], None),
        ("ft:gpt-4o", [3_750_000, 1_875_000, 3_750_000, 3_750_000, 15_000_000], None),
        ("ft:gpt-4o-mini", [300_000, 150_000, 300_000, 300_000, 1_200_000], None),
        ("gpt-4.1", [2_000_000, 500_000, 2_000_000, 2_000_000, 8_000_000], None),
        ("gpt-4.1-mini", [400_000, 100_000, 400_000, 400_000, 1_600_000], None),
        ("gpt-4o", [2_500_000, 1_250_000, 2_500_000, 2_500_000, 10_000_000], None),
        ("gpt-4o-2024-05-13", [5_000_000, 5_000_000, 5_000_000, 5_000_000, 15_000_000], None),
        ("gpt-4o-mini", [150_000, 75_000, 150_000, 150_000, 600_000], None),
        ("gpt-4o-mini-search-preview", [150_000, 75_000, 150_000, 150_000, 600_000], None),
        ("gpt-4o-search-preview", [2_500_000, 1_250_000, 2_500_000, 2_500_000, 10_000_000], None),
        ("gpt-5", [1_250_000, 125_000, 1_250_000, 1_250_000, 10_000_000], None),
        ("gpt-5-mini", [250_000, 25_000, 250_000, 250_000, 2_000_000], None),
        ("gpt-5-nano", [50_000, 5_000, 50_000, 50_000, 400_000], None),
        ("gpt-5-pro", [15_000_000, 15_000_000, 15_000_000, 15_000_000, 120_000_000], None),
        ("gpt-5-search-api", [1_250_000, 125_000, 1_250_000, 1_250_000, 10_000_000], None),
        ("gpt-5.1", [1_250_000, 125_000, 1_250_000, 1_250_000, 10_000_000], None),
        ("gpt-5.2", [1_750_000, 175_000, 1_750_000, 1_750_000, 14_000_000], None),
        ("gpt-5.2-pro", [21_000_000, 21_000_000, 21_000_000, 21_000_000, 168_000_000], None),
        ("gpt-5.3-codex", [1_750_000, 175_000, 1_750_000, 1_750_000, 14_000_000], None),
        ("gpt-5.4", [2_500_000, 250_000, 2_500_000, 2_500_000, 15_000_000], Some((272_000, [5_000_000, 500_000, 5_000_000, 5_000_000, 22_500_000]))),
        ("gpt-5.4-mini", [750_000, 75_000, 750_000, 750_000, 4_500_000], None),
        ("gpt-5.4-nano", [200_000, 20_000, 200_000, 200_000, 1_250_000], None),
        ("gpt-5.4-pro", [30_000_000, 30_000_000, 30_000_000, 30_000_000, 180_000_000], Some((272_000, [60_000_000, 60_000_000, 60_000_000, 60_000_000, 270_000_000]))),
        ("gpt-5.5", [5_000_000, 500_000, 5_000_000, 5_000_000, 30_000_000], Some((272_000, [10_000_000, 1_000_000, 10_000_000, 10_000_000, 45_000_000]))),
        ("gpt-5.5-pro", [30_000_000, 30_000_000, 30_000_000, 30_000_000, 180_000_000], Some((272_000, [60_000_000, 60_000_000, 60_000_000, 60_000_000, 270_000_000]))),
        ("gpt-5.6", [4_000_000, 400_000, 5_000_000, 10_000_000, 20_000_000], Some((272_000, [8_000_000, 800_000, 10_000_000, 20_000_000, 30_000_000]))),
        ("gpt-5.6-luna", [200_000, 20_000, 250_000, 500_000, 1_200_000], Some((272_000, [400_000, 40_000, 500_000, 1_000_000, 1_800_000]))),
        ("gpt-5.6-sol", [4_000_000, 400_000, 5_000_000, 10_000_000, 20_000_000], Some((272_000, [8_000_000, 800_000, 10_000_000, 20_000_000, 30_000_000]))),
        ("gpt-5.6-terra", [2_000_000, 200_000, 2_500_000, 5_000_000, 12_000_000], Some((272_000, [4_000_000, 400_000, 5_000_000, 10_000_000, 18_000_000]))),
        ("gpt-6-astra", [10_000_000, 1_000_000, 12_500_000, 25_000_000, 50_000_000], Some((272_000, [20_000_000, 2_000_000, 25_000_000, 50_000_000, 75_000_000]))),
        ("gpt-6-luna", [100_000, 10_000, 125_000, 250_000, 500_000], Some((272_000, [200_000, 20_000, 250_000, 500_000, 750_000]))),
        ("gpt-6-sol", [2_000_000, 200_000, 2_500_000, 5_000_000, 10_000_000], Some((272_000, [4_000_000, 400_000, 5_000_000, 10_000_000, 15_000_000]))),
        ("gpt-6.1-sol", [2_000_000, 100_000, 2_500_000, 5_000_000, 10_000_000], Some((272_000, [4_000_000, 200_000, 5_000_000, 10_000_000, 15_000_000]))),
        ("gpt-6.1-terra", [1_000_000, 50_000, 1_250_000, 2_500_000, 5_000_000], Some((272_000, [2_000_000, 100_000, 2_500_000, 5_000_000, 7_500_000]))),
        ("o3", [2_000_000, 500_000, 2_000_000, 2_000_000, 8_000_000], None),
        ("o3-pro", [20_000_000, 20_000_000, 20_000_000, 20_000_000, 80_000_000], None),
    ],
};

#[rustfmt::skip]
const ANTHROPIC: Section = Section {
    provider: "anthropic",
    source: "LiteLLM model_prices_and_context_window.json 1.109.1, MIT (platform.claude.com/docs/en/about-claude/pricing)",
    rows: &[
        ("claude-fable-5", [10_000_000, 1_000_000, 12_500_000, 20_000_000, 50_000_000], None),
        ("claude-fable-5-1", [10_000_000, 250_000, 12_500_000, 20_000_000, 50_000_000], None),
        ("claude-haiku-4-5", [1_000_000, 100_000, 1_250_000, 2_000_000, 5_000_000], None),
        ("claude-haiku-5-5", [100_000, 10_000, 125_000, 200_000, 500_000], Some((100_000, [500_000, 50_000, 625_000, 1_000_000, 2_500_000]))),
        ("claude-mythos-5", [10_000_000, 1_000_000, 12_500_000, 20_000_000, 50_000_000], None),
        ("claude-mythos-5-1", [10_000_000, 250_000, 12_500_000, 20_000_000, 50_000_000], None),
        ("claude-opus-4-5", [5_000_000, 500_000, 6_250_000, 10_000_000, 25_000_000], None),
        ("claude-opus-4-6", [5_000_000, 500_000, 6_250_000, 10_000_000, 25_000_000], None),
        ("claude-opus-4-7", [5_000_000, 500_000, 6_250_000, 10_000_000, 25_000_000], None),
        ("claude-opus-4-8", [5_000_000, 500_000, 6_250_000, 10_000_000, 25_000_000], None),
        ("claude-opus-5", [5_000_000, 500_000, 6_250_000, 10_000_000, 25_000_000], None),
        ("claude-opus-5-5", [4_000_000, 200_000, 5_000_000, 8_000_000, 20_000_000], None),
        ("claude-sonnet-4-5", [3_000_000, 300_000, 3_750_000, 6_000_000, 15_000_000], None),
        ("claude-sonnet-4-6", [3_000_000, 300_000, 3_750_000, 6_000_000, 15_000_000], None),
        ("claude-sonnet-5", [2_000_000, 200_000, 2_500_000, 4_000_000, 10_000_000], None),
        ("claude-sonnet-5-5", [2_000_000, 100_000, 2_500_000, 4_000_000, 10_000_000], None),
    ],
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::price::{PriceTerms, Prices};

    #[test]
    fn every_price_has_date_source_and_version_and_only_listed_models_are_free() {
        let mut names = HashSet::new();
        for (name, price) in prices() {
            assert!(names.insert((name.clone(), price.period)), "{name} stands twice");
            assert!(!price.source.is_empty() && *price.as_of == *AS_OF && price.version.starts_with(VERSION));
            let is_free = [price.rates.input, price.units.image] == [Some(0), Some(0)];
            check_tiers(&name, &price);
            let UnitRates { image, millisecond, character, .. } = price.units;
            let by_unit = [image, millisecond, character].iter().any(Option::is_some);
            assert!(is_free || price.rates != Rates::default() || by_unit, "{name}");
            let long = price.long.map(|long| long.rates).filter(|rates| *rates != Rates::default());
            for rates in [Some(price.rates), long].into_iter().flatten() {
                let Rates { input, cached_input, cache_write_short, cache_write_long, output, image_input, .. } = rates;
                assert!(cached_input <= input && input <= image_input, "{name}");
                let is_write_known = cache_write_short.is_some();
                assert!(!is_write_known || input <= cache_write_short, "{name}");
                assert!(cache_write_short <= cache_write_long, "{name}");
                assert!(is_free || output.is_none() || input <= output, "{name}");
                for output_rate in [rates.audio_output, rates.image_output] {
                    assert!(is_free || output_rate.is_none() || input < output_rate, "{name}");
                }
            }
            if let Some(long) = price.long.filter(|long| long.rates != Rates::default()) {
                assert!(price.rates.input < long.rates.input && price.rates.output < long.rates.output, "{name}");
            }
        }
    }

    /// Checks that slow tiers cost less and fast tiers more, class by class, and that long requests have the same bound
    /// at every tier.
    fn check_tiers(name: &str, price: &Price) {
        let mut seen = HashSet::new();
        for (tier, rates, long) in &price.others.tiers {
            assert!(*tier != Tier::Standard && seen.insert(*tier), "{name} {tier:?}");
            assert_eq!(long.map(|long| long.above_tokens), price.long.map(|long| long.above_tokens), "{name} {tier:?}");
            let figures = |rates: &Rates| {
                let Rates { input, cached_input, cache_write_short, cache_write_long, output, audio_input, .. } =
                    *rates;
                [input, cached_input, cache_write_short, cache_write_long, output, audio_input]
            };
            let long = long.zip(price.long).map(|(at, base)| (figures(&at.rates), figures(&base.rates)));
            for (at, base) in [Some((figures(rates), figures(&price.rates))), long].into_iter().flatten() {
                for (at, base) in at.into_iter().zip(base).filter_map(|(at, base)| at.zip(base)) {
                    let is_cheap = matches!(tier, Tier::Batch | Tier::Flex);
                    assert!(if is_cheap { at <= base } else { at > base }, "{name} {tier:?}: {at} beside {base}");
                }
            }
        }
        let us = PriceTerms { us: true, ..PriceTerms::default() };
        assert_eq!(price.with_terms(us).is_some(), price.others.us_tenth, "{name}: a tenth more is a whole number");
    }

    /// Figures for which the source or its page was wrong, rounded or silent: `PROVIDER/MODEL TIER CLASS`.
    #[test]
    fn figures_that_an_audit_corrected_are_these() {
        let prices = Prices::builtin();
        for (name, tier, class, expected) in [
            ("openai/gpt-5.4", Tier::Batch, "cached", Some(125_000)),
            ("openai/gpt-5.4", Tier::Flex, "cached", Some(125_000)),
            ("openai/gpt-image-1.5", Tier::Batch, "cached", Some(625_000)),
            ("openai/chatgpt-image-latest", Tier::Batch, "cached", Some(625_000)),
            ("gemini/gemini-3.5-flash", Tier::Flex, "cached", Some(75_000)),
            ("gemini/gemini-3.5-flash-lite", Tier::Batch, "cached", Some(15_000)),
            ("gemini/gemini-3.5-flash-lite", Tier::Flex, "cached", Some(15_000)),
            ("gemini/gemini-3.5-flash-lite", Tier::Priority, "cached", Some(54_000)),
            ("gemini/gemini-flash-lite-latest", Tier::Flex, "cached", Some(15_000)),
            ("gemini/gemini-flash-lite-latest", Tier::Priority, "cached", Some(54_000)),
            ("gemini/gemini-2.5-pro", Tier::Standard, "audio", Some(1_250_000)),
            ("gemini/gemini-2.5-pro", Tier::Standard, "long audio", Some(2_500_000)),
            ("gemini/gemini-2.5-pro", Tier::Batch, "long audio", Some(1_250_000)),
            ("gemini/gemini-2.5-pro", Tier::Priority, "audio", Some(2_250_000)),
            ("gemini/gemini-3.1-pro-preview", Tier::Standard, "audio", Some(2_000_000)),
            ("gemini/gemini-3.1-pro-preview-customtools", Tier::Flex, "audio", Some(1_000_000)),
            ("gemini/gemini-3.6-flash", Tier::Standard, "audio", None),
            ("gemini/gemini-pro-latest", Tier::Standard, "audio", None),
            ("openai/gpt-5-search-api", Tier::Standard, "input", Some(1_250_000)),
            ("openai/gpt-5-search-api", Tier::Standard, "request", Some(10_000_000_000)),
            ("openai/gpt-4o-search-preview", Tier::Standard, "output", Some(10_000_000)),
            ("openai/gpt-4o-mini-search-preview", Tier::Standard, "cached", Some(75_000)),
            ("openai/gpt-5.5-cyber", Tier::Standard, "input", Some(12_500_000)),
            ("openai/gpt-5.6-cyber", Tier::Standard, "output", Some(75_000_000)),
            ("openai/gpt-5.6-cyber", Tier::Standard, "write", None),
            ("openai/gpt-6-rosalind", Tier::Standard, "cached", Some(1_500_000)),
            ("openai/gpt-6-astra-law", Tier::Standard, "output", Some(50_000_000)),
            ("openai/gpt-daybreak-blue-latest", Tier::Standard, "input", Some(4_000_000)),
            ("openai/gpt-daybreak-red-latest", Tier::Standard, "output", Some(20_000_000)),
            ("openai/gpt-daybreak-red-latest", Tier::Standard, "long audio", None),
            ("gemini/gemma-3-27b-it", Tier::Standard, "output", Some(0)),
            ("gemini/gemma-4-26b-a4b-it", Tier::Standard, "input", Some(0)),
            ("gemini/gemma-4-31b-it", Tier::Standard, "input", Some(0)),
            ("gemini/nano-banana-pro-preview", Tier::Standard, "input", Some(2_000_000)),
        ] {
            let (provider, model) = name.split_once('/').unwrap();
            let price = prices.find(provider, [model], access::Day(20_778)).unwrap();
            let price = price.with_terms(PriceTerms { tier, us: false }).unwrap();
            let found = match class {
                "input" => price.rates.input,
                "cached" => price.rates.cached_input,
                "write" => price.rates.cache_write_short,
                "output" => price.rates.output,
                "audio" => price.rates.audio_input,
                "long audio" => price.long.unwrap().rates.audio_input,
                _ => price.units.request,
            };
            assert_eq!(found, expected, "{name} {tier:?} {class}");
        }
    }

    #[test]
    fn every_row_of_a_tier_is_a_model_of_the_table() {
        let names: HashSet<String> = prices().map(|(name, _)| name).collect();
        for (provider, rows) in [("openai", tiers::OPENAI), ("anthropic", tiers::ANTHROPIC), ("gemini", tiers::GEMINI)]
        {
            for (model, ..) in rows {
                assert!(names.contains(&format!("{provider}/{model}")), "{provider}/{model}");
            }
        }
        for model in [tiers::FAST, tiers::US].concat() {
            assert!(names.contains(&format!("anthropic/{model}")), "{model}");
        }
    }
}
