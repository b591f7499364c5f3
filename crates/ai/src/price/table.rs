//! The built-in prices: a flat table, in pico-USD per token (1 USD per million tokens is 1,000,000).
//!
//! Carried over from LiteLLM's `model_prices_and_context_window.json` (release 1.109.1, MIT licence, © 2023 Berri AI) for
//! the models that were not yet retired on [`AS_OF`], standard tier. A class that it does not price costs what input
//! costs, the long lifetime what the short one does. A dated name stands here only where its price is its own.

use std::sync::Arc;

use meter::Rates;

use super::{Long, Price};

const VERSION: &str = "builtin-2026-11-20";
const AS_OF: &str = "2026-11-20";

struct Section {
    provider: &'static str,
    source: &'static str,
    rows: &'static [Row],
}

/// A model, its rates (input, cached input, cache write short and long, output), and those above so many tokens.
type Row = (&'static str, [u64; 5], Option<(u64, [u64; 5])>);

/// Every row: `PROVIDER/MODEL` and its price.
pub(super) fn prices() -> impl Iterator<Item = (String, Price)> {
    [MOCK, OPENAI, ANTHROPIC].into_iter().flat_map(|section| {
        let (version, source, as_of) = (Arc::from(VERSION), Arc::from(section.source), Arc::from(AS_OF));
        section.rows.iter().map(move |(model, base, long)| {
            let long = long.map(|(above_tokens, long)| Long { above_tokens, rates: rates(long) });
            let price = Price {
                rates: rates(*base),
                long,
                version: Arc::clone(&version),
                source: Arc::clone(&source),
                as_of: Arc::clone(&as_of),
            };
            (format!("{}/{model}", section.provider), price)
        })
    })
}

const fn rates([input, cached_input, cache_write_short, cache_write_long, output]: [u64; 5]) -> Rates {
    Rates { input, cached_input, cache_write_short, cache_write_long, output }
}

const MOCK: Section = Section {
    provider: "mock",
    source: "made up: the mock charges nothing",
    rows: &[("*", [1_000_000, 100_000, 1_250_000, 2_000_000, 5_000_000], None)],
};

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

    #[test]
    fn every_price_is_dated_sourced_versioned_and_not_free() {
        let mut names = HashSet::new();
        for (name, price) in prices() {
            assert!(names.insert(name.clone()), "{name} stands twice");
            assert!(!price.source.is_empty() && price.as_of.len() == 10 && price.version.ends_with(&*price.as_of));
            for rates in [Some(price.rates), price.long.map(|long| long.rates)].into_iter().flatten() {
                let Rates { input, cached_input, cache_write_short, cache_write_long, output } = rates;
                assert!(0 < cached_input && cached_input <= input, "{name}");
                assert!(input <= cache_write_short && cache_write_short <= cache_write_long, "{name}");
                assert!(input < output, "{name}");
            }
        }
    }
}
