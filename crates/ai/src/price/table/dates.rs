//! Days on which rows of the built-in table apply, and their rates at OpenAI's regional hosts: flat tables.

use access::Day;

use crate::price::{Price, PricePeriod, Region};

/// The day 2026-11-21 in UTC.
const GPT_5_6_UNTIL: Day = Day(20_778);
/// The day 2026-12-31 in UTC.
const GEMINI_FLASH_UNTIL: Day = Day(20_818);

/// Models with promotional prices, and the prices that follow.
struct Promotion {
    provider: &'static str,
    models: &'static [&'static str],
    /// The last day of the promotion.
    until: Day,
    /// The rates from the next day on, in multiples of the promotional ones. `None`: they are not published.
    then: Option<u64>,
    /// The announcement of the days.
    source: &'static str,
}

/// gpt-5.6 began at 5, 0.50, 6.25 and 30 USD. No source says that these rates return when the promotion ends, so the
/// price after it is unknown.
const PROMOTIONS: &[Promotion] = &[
    Promotion {
        provider: "openai",
        models: &["gpt-5.6", "gpt-5.6-sol"],
        until: GPT_5_6_UNTIL,
        then: None,
        source: "promotion at least through 2026-11-21 (raif#545, llmgateway#4128)",
    },
    Promotion {
        provider: "gemini",
        models: &["gemini-3.6-flash", "gemini-3.7-flash", "gemini-3.8-flash", "gemini-flash-latest"],
        until: GEMINI_FLASH_UNTIL,
        then: Some(2),
        source: "introductory through 2026-12-31, then 1.50 and 7.50 USD (dify#3736, quoting ai.google.dev)",
    },
];

/// Models since gpt-5.4, which cost a tenth more at OpenAI's regional hosts (LiteLLM 1.109.1,
/// `regional_processing_uplift_multiplier_eu` and `_us`).
const REGIONAL_TENTH: &[&str] = &[
    "gpt-5.4",
    "gpt-5.4-mini",
    "gpt-5.4-nano",
    "gpt-5.4-pro",
    "gpt-5.5",
    "gpt-5.5-pro",
    "gpt-5.6",
    "gpt-5.6-luna",
    "gpt-5.6-sol",
    "gpt-5.6-terra",
    "gpt-6-astra",
    "gpt-6-luna",
    "gpt-6-sol",
    "gpt-6.1-sol",
    "gpt-6.1-terra",
];

/// Earlier text models, which have no such multiplier there.
const REGIONAL_SAME: &[&str] = &[
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4o",
    "gpt-4o-2024-05-13",
    "gpt-4o-mini",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5-nano",
    "gpt-5-pro",
    "gpt-5.1",
    "gpt-5.2",
    "gpt-5.2-pro",
    "gpt-5.3-codex",
    "o3",
    "o3-pro",
    "text-embedding-3-large",
    "text-embedding-3-small",
];

/// Returns the price of one of OpenAI's models at its regional hosts.
pub(super) fn region(model: &str) -> Region {
    if REGIONAL_TENTH.contains(&model) {
        Region::TenthMore
    } else if REGIONAL_SAME.contains(&model) {
        Region::Same
    } else {
        Region::Unknown
    }
}

/// Returns the rows of a model: one without an end, or one for each of its periods.
pub(super) fn rows(provider: &str, model: &str, price: Price) -> Vec<Price> {
    let Some(promotion) = PROMOTIONS.iter().find(|it| it.provider == provider && it.models.contains(&model)) else {
        return vec![price];
    };
    let dated = |price: Price, period: PricePeriod| Price {
        period,
        version: format!("{}{}", price.version, period.suffix()).into(),
        source: format!("{}; {}", price.source, promotion.source).into(),
        ..price
    };
    let then = promotion.then.and_then(|factor| price.times(factor, 1));
    let mut rows = vec![dated(price, PricePeriod { from: None, until: Some(promotion.until) })];
    rows.extend(then.map(|price| dated(price, PricePeriod { from: Some(promotion.until.next()), until: None })));
    rows
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::price::names::REGIONAL_HOSTS;
    use crate::price::{PriceTerms, Prices, Tier};

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn dates_in_row_names_match_their_days() {
        assert_eq!((GPT_5_6_UNTIL, GEMINI_FLASH_UNTIL), (day("2026-11-21"), day("2026-12-31")));
    }

    #[test]
    fn every_model_of_these_tables_has_a_price() {
        let prices = Prices::builtin();
        for model in REGIONAL_TENTH.iter().chain(REGIONAL_SAME) {
            assert!(prices.names("openai", model), "{model}");
            for host in REGIONAL_HOSTS {
                assert!(prices.names(host, model), "{host} {model}: a tenth more is a whole number");
            }
        }
        for Promotion { provider, models, .. } in PROMOTIONS {
            for model in *models {
                assert!(prices.names(provider, model), "{model}");
            }
        }
    }

    /// Compares the rates of input, cached input and output in the last second of a promotion, and in the first after
    /// it.
    #[test]
    fn a_promotion_ends_with_the_last_second_of_its_last_day() {
        let prices = Prices::builtin();
        let sol = [4_000_000, 400_000, 20_000_000];
        let flash = [750_000, 75_000, 3_750_000];
        let later = [1_500_000, 150_000, 7_500_000];
        for (name, until, before, after) in [
            ("openai/gpt-5.6", "2026-11-21", sol, None),
            ("openai/gpt-5.6-sol", "2026-11-21", sol, None),
            ("openai/gpt-5.6-sol-2026-07-01", "2026-11-21", sol, None),
            ("gemini/gemini-3.6-flash", "2026-12-31", flash, Some(later)),
            ("gemini/gemini-3.7-flash", "2026-12-31", flash, Some(later)),
            ("gemini/gemini-3.8-flash", "2026-12-31", flash, Some(later)),
            ("gemini/gemini-flash-latest", "2026-12-31", flash, Some(later)),
        ] {
            let (provider, model) = name.split_once('/').unwrap();
            let found = |at: access::Timestamp| {
                let rates = prices.find(provider, [model], at.day())?.rates;
                Some([rates.input, rates.cached_input, rates.output].map(Option::unwrap))
            };
            let end = day(until).next().start();
            assert_eq!(found(end.before(Duration::from_secs(1))), Some(before), "{name}");
            assert_eq!(found(end), after, "{name}");
        }
    }

    #[test]
    fn the_price_after_a_promotion_applies_to_every_tier() {
        let prices = Prices::builtin();
        let at = |tier, at| {
            let price = prices.find("gemini", ["gemini-3.6-flash"], day(at)).unwrap();
            price.with_terms(PriceTerms { tier, us: false }).unwrap().into_owned()
        };
        for (tier, before, after) in
            [(Tier::Batch, 375_000, 750_000), (Tier::Flex, 375_000, 750_000), (Tier::Priority, 1_350_000, 2_700_000)]
        {
            let now = at(tier, "2026-12-31");
            let then = at(tier, "2027-01-01");
            assert_eq!((now.rates.input, then.rates.input), (Some(before), Some(after)));
            assert!(now.version.contains("@..2026-12-31+") && then.version.contains("@2027-01-01..+"));
            for (price, version) in [(&now, &now.version), (&then, &then.version)] {
                let found = prices.of_version("gemini", ["gemini-3.6-flash"], version);
                assert_eq!(found.map(|found| found.rates), Some(price.rates));
            }
        }
    }
}
