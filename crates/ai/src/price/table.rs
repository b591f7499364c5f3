//! The built-in prices: a flat table, in pico-USD per token (1 USD per million tokens is 1,000,000).
//!
//! Carried over from LiteLLM's `model_prices_and_context_window.json` (release 1.109.1, MIT licence, © 2023 Berri AI) for
//! the models that were not yet retired on [`AS_OF`]; other tiers than the standard one in [`tiers`]. A class that it does
//! not price costs what input costs, the long lifetime what the short one does. A dated name stands here only where its
//! price is its own.

mod tiers;
mod wide;

use std::sync::Arc;

use meter::{Rates, UnitRates};

use super::{Long, Others, Price, Tier, server_tools};

const VERSION: &str = "builtin-2026-11-20";
const AS_OF: &str = "2026-11-20";

struct Section {
    provider: &'static str,
    source: &'static str,
    rows: &'static [Row],
}

/// A model, its rates (input, cached input, cache write short and long, output), and those above so many tokens.
///
/// These models read images at the price of text, and neither hear nor make anything else.
type Row = (&'static str, [u64; 5], Option<(u64, [u64; 5])>);

/// Rows of models with more classes than those five.
struct Wide {
    provider: &'static str,
    source: &'static str,
    /// Models that cost nothing.
    free: &'static [&'static str],
    rows: &'static [wide::Row],
}

/// Every row: `PROVIDER/MODEL` and its price.
pub(super) fn prices() -> impl Iterator<Item = (String, Price)> {
    let text = [OPENAI, ANTHROPIC].into_iter().flat_map(|section| {
        let row = |(model, base, long): &'static Row| {
            let long = long.map(|(above_tokens, long)| Long { above_tokens, rates: text_rates(long) });
            (*model, text_rates(*base), long, UnitRates::default())
        };
        priced(section.provider, section.source, section.rows.iter().map(row))
    });
    let wide = [wide::OPENAI, wide::GEMINI].into_iter().flat_map(|section| {
        let row = |(model, base, long, units): &'static wide::Row| {
            let long = long.map(|(above_tokens, long)| Long { above_tokens, rates: rates(long) });
            (*model, rates(*base), long, unit_rates(*units))
        };
        let free = section.free.iter().map(|model| (*model, Rates::flat(0), None, UnitRates::flat(0)));
        priced(section.provider, section.source, section.rows.iter().map(row).chain(free))
    });
    let mock = priced("mock", "made up: the mock charges nothing", [("*", rates(MOCK), None, unit_rates(MOCK_UNITS))]);
    mock.chain(text).chain(wide)
}

type Priced = (&'static str, Rates, Option<Long>, UnitRates);

fn priced(
    provider: &'static str,
    source: &'static str,
    rows: impl IntoIterator<Item = Priced>,
) -> impl Iterator<Item = (String, Price)> {
    let (version, source, as_of): (Arc<str>, Arc<str>, Arc<str>) = (VERSION.into(), source.into(), AS_OF.into());
    rows.into_iter().map(move |(model, rates, long, units)| {
        let (version, source, as_of) = (Arc::clone(&version), Arc::clone(&source), Arc::clone(&as_of));
        let UnitRates { image, millisecond, character, .. } = units;
        let is_free = units == UnitRates::flat(0);
        let tools = if is_free { units } else { server_tools::rates(provider, model) };
        let units = UnitRates { image, millisecond, character, ..tools };
        let others = others(provider, model, &rates, long);
        (format!("{provider}/{model}"), Price { rates, long, units, others: Arc::new(others), version, source, as_of })
    })
}

/// What `model` costs at other terms.
fn others(provider: &str, model: &str, base: &Rates, long: Option<Long>) -> Others {
    let rows = match provider {
        "openai" => tiers::OPENAI,
        "anthropic" => tiers::ANTHROPIC,
        "gemini" => tiers::GEMINI,
        _ => &[],
    };
    let of_model = rows.iter().filter(|(name, ..)| *name == model);
    let mut tiers: Vec<_> = of_model
        .map(|(_, tier, figures, long)| {
            let long = long.map(|(above_tokens, figures)| Long { above_tokens, rates: rates(figures) });
            (*tier, rates(*figures), long)
        })
        .collect();
    let is_anthropic = provider == "anthropic";
    if is_anthropic && tiers::FAST.contains(&model) {
        let long = long.and_then(|long| Some(Long { rates: long.rates.times(2, 1)?, ..long }));
        tiers.extend(base.times(2, 1).map(|rates| (Tier::Fast, rates, long)));
    }
    Others { tiers, us_tenth: is_anthropic && tiers::US.contains(&model) }
}

fn text_rates([input, cached_input, cache_write_short, cache_write_long, output]: [u64; 5]) -> Rates {
    rates([input, cached_input, cache_write_short, cache_write_long, output, 0, input, 0, 0])
}

fn rates(figures: [u64; 9]) -> Rates {
    let [
        input,
        cached_input,
        cache_write_short,
        cache_write_long,
        output,
        audio_input,
        image_input,
        audio_output,
        image_output,
    ] = figures.map(known);
    Rates {
        input,
        cached_input,
        cache_write_short,
        cache_write_long,
        output,
        audio_input,
        image_input,
        audio_output,
        image_output,
    }
}

fn unit_rates(figures: [u64; 3]) -> UnitRates {
    let [image, millisecond, character] = figures.map(known);
    UnitRates { image, millisecond, character, ..UnitRates::default() }
}

fn known(rate: u64) -> Option<u64> {
    (rate > 0).then_some(rate)
}

const MOCK: [u64; 9] =
    [1_000_000, 100_000, 1_250_000, 2_000_000, 5_000_000, 3_000_000, 1_500_000, 12_000_000, 30_000_000];
/// 0.04 USD an image, 0.0001 USD a second, 15 USD a million characters.
const MOCK_UNITS: [u64; 3] = [40_000_000_000, 100_000, 15_000_000];

#[rustfmt::skip]
const OPENAI: Section = Section {
    provider: "openai",
    source: "LiteLLM model_prices_and_context_window.json 1.109.1, MIT (developers.openai.com/api/docs/pricing)",
    rows: &[
        ("chat-latest", [5_000_000, 500_000, 5_000_000, 5_000_000, 30_000_000], None),
        ("gpt-4.1", [2_000_000, 500_000, 2_000_000, 2_000_000, 8_000_000], None),
        ("gpt-4.1-mini", [400_000, 100_000, 400_000, 400_000, 1_600_000], None),
        ("gpt-4o", [2_500_000, 1_250_000, 2_500_000, 2_500_000, 10_000_000], None),
        ("gpt-4o-2024-05-13", [5_000_000, 5_000_000, 5_000_000, 5_000_000, 15_000_000], None),
        ("gpt-4o-mini", [150_000, 75_000, 150_000, 150_000, 600_000], None),
        ("gpt-5", [1_250_000, 125_000, 1_250_000, 1_250_000, 10_000_000], None),
        ("gpt-5-mini", [250_000, 25_000, 250_000, 250_000, 2_000_000], None),
        ("gpt-5-nano", [50_000, 5_000, 50_000, 50_000, 400_000], None),
        ("gpt-5-pro", [15_000_000, 15_000_000, 15_000_000, 15_000_000, 120_000_000], None),
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
    use crate::price::Terms;

    #[test]
    fn every_price_is_dated_sourced_versioned_and_free_only_where_it_says_so() {
        let mut names = HashSet::new();
        for (name, price) in prices() {
            assert!(names.insert(name.clone()), "{name} stands twice");
            assert!(!price.source.is_empty() && price.as_of.len() == 10 && price.version.ends_with(&*price.as_of));
            let is_free = [price.rates.input, price.units.image] == [Some(0), Some(0)];
            check_tiers(&name, &price);
            let UnitRates { image, millisecond, character, .. } = price.units;
            let by_unit = [image, millisecond, character].iter().any(Option::is_some);
            assert!(is_free || price.rates != Rates::default() || by_unit, "{name}");
            for rates in [Some(price.rates), price.long.map(|long| long.rates)].into_iter().flatten() {
                let Rates { input, cached_input, cache_write_short, cache_write_long, output, image_input, .. } = rates;
                assert!(cached_input <= input && input <= image_input, "{name}");
                assert!(input <= cache_write_short && cache_write_short <= cache_write_long, "{name}");
                assert!(is_free || output.is_none() || input < output, "{name}");
                for made in [rates.audio_output, rates.image_output] {
                    assert!(is_free || made.is_none() || input < made, "{name}");
                }
            }
            if let Some(long) = price.long {
                assert!(price.rates.input < long.rates.input && price.rates.output < long.rates.output, "{name}");
            }
        }
    }

    /// Leisure costs less and haste more, class by class; long requests are long at every tier.
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
        let us = Terms { us: true, ..Terms::default() };
        assert_eq!(price.at(us).is_some(), price.others.us_tenth, "{name}: a tenth more is a whole number");
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
