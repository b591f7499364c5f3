use std::time::Duration;

use access::Tokens;
use meter::{Rates, UnitRates};

use super::*;
use crate::price::{OtherPrices, PriceFigures, PricePeriod, PriceTerms};

/// The day 2026-11-21 in UTC.
const DAY: Day = Day(20_778);

fn flat(rate: u64) -> Price {
    Price::configured(Rates::flat(rate), UnitRates::default())
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// Returns a price of the days `from..until`; an empty text means no end.
fn dated(rate: u64, from: &str, until: &str) -> Price {
    let end = |text: &str| (!text.is_empty()).then(|| day(text));
    let period = PricePeriod { from: end(from), until: end(until) };
    Price::of_configuration(PriceFigures { rates: Rates::flat(rate), period, ..PriceFigures::default() })
}

#[test]
fn dated_names_have_the_price_of_the_undated() {
    let prices = Prices::default().with("p/gpt-5", flat(1)).with("p/gpt-5-2024-05-13", flat(2));
    let found = |model| prices.find("p", [model], DAY).and_then(|price| price.rates.input);
    assert_eq!(found("gpt-5"), Some(1));
    assert_eq!(found("gpt-5-2025-08-07"), Some(1));
    assert_eq!(found("gpt-5-20250807"), Some(1));
    assert_eq!(found("gpt-5-2024-05-13"), Some(2));
    for unknown in ["gpt-5-mini", "gpt-5-2025-08", "gpt-5-2025080", "gpt-5é2025-08-07", "-20250807", "", "gpt"] {
        assert_eq!(found(unknown), None, "{unknown}");
    }
    assert_eq!(prices.find("q", ["gpt-5"], DAY), None);
}

#[test]
fn configured_price_replaces_the_built_in_one_and_names_its_figures() {
    let builtin = Prices::builtin();
    let prices = builtin.clone().with("openai/gpt-5-mini", flat(7)).with("no-provider", flat(8));
    let price = prices.find("openai", ["gpt-5-mini-2025-08-07"], DAY).unwrap();
    assert_eq!(
        (price.rates.input, &*price.version),
        (Some(7), "configured-7/7/7/7/7+audio_input:7+audio_output:7+image_output:7")
    );
    assert_eq!(builtin.find("openai", ["gpt-5-mini"], DAY).unwrap().rates.input, Some(250_000));
    let units = UnitRates { image: Some(8), ..UnitRates::default() };
    assert_eq!(&*Price::configured(Rates::default(), units).version, "configured--/-/-/-/-+image:8");
}

#[test]
fn names_match_in_order_and_before_the_wildcard() {
    let prices = Prices::default().with("p/*", flat(1)).with("p/b", flat(2)).with("p/c", flat(3));
    let found = |names: &[&str]| prices.find("p", names.iter().copied(), DAY).and_then(|price| price.rates.input);
    for (names, rate) in [(["b", "c"], 2), (["c", "b"], 3), (["x", "b-2025-08-07"], 2), (["x", "y"], 1)] {
        assert_eq!(found(&names), Some(rate), "{names:?}");
    }
}

#[test]
fn unknown_models_have_no_price_and_every_mock_has_one() {
    let prices = Prices::builtin();
    assert_eq!(prices.find("openai", ["gpt-99"], DAY), None);
    assert_eq!(prices.find("elsewhere", ["gpt-5"], DAY), None);
    for model in ["mock", "slow", "tokens-1000000", "no-usage"] {
        assert!(prices.find("mock", [model], DAY).is_some(), "{model}");
    }
}

#[test]
fn the_price_of_a_day_is_that_of_its_period_to_the_second() {
    let prices = Prices::default()
        .with("p/m", dated(2, "2027-01-01", "2028-02-28"))
        .with("p/m", dated(3, "2028-03-01", ""))
        .with("p/m", dated(1, "", "2026-12-31"));
    let second = Duration::from_secs(1);
    for (at, rate) in [
        (day("1970-01-01").start(), Some(1)),
        (day("2027-01-01").start().before(second), Some(1)),
        (day("2027-01-01").start(), Some(2)),
        (day("2028-02-29").start().before(second), Some(2)),
        (day("2028-02-29").start(), None),
        (day("2028-03-01").start().before(second), None),
        (day("2028-03-01").start(), Some(3)),
    ] {
        let found = prices.find("p", ["m-2026-01-01"], at.day()).and_then(|price| price.rates.input);
        assert_eq!(found, rate, "{at:?}");
    }
}

#[test]
fn a_listed_name_decides_even_on_a_day_without_a_price() {
    let prices = Prices::default().with("p/a", dated(1, "", "2026-11-20")).with("p/b", flat(2)).with("p/*", flat(3));
    assert_eq!(prices.find("p", ["a", "b"], DAY), None);
    assert_eq!(prices.find("p", ["x", "b"], DAY).unwrap().rates.input, Some(2));
}

#[test]
fn a_row_replaces_those_that_share_a_day_with_it() {
    let prices = Prices::default()
        .with("p/m", dated(1, "", "2026-11-21"))
        .with("p/m", dated(2, "2026-11-22", ""))
        .with("p/m", dated(3, "2026-12-01", ""));
    let found = |at| prices.find("p", ["m"], day(at)).and_then(|price| price.rates.input);
    assert_eq!((found("2026-11-21"), found("2026-11-22"), found("2026-12-01")), (Some(1), None, Some(3)));
    assert_eq!(prices.with("p/m", flat(4)).all().count(), 1);
}

#[test]
fn a_row_is_found_by_its_version_on_any_day() {
    let prices = Prices::default().with("p/m", dated(1, "", "2026-11-21")).with("p/m", dated(2, "2027-01-01", ""));
    for (_, price) in prices.all() {
        assert_eq!(prices.of_version("p", ["m"], &price.version).as_deref(), Some(price));
    }
    assert_eq!(prices.of_version("p", ["m"], "configured-1/1/1/1/1"), None);
}

#[test]
fn a_row_with_other_days_and_the_same_figures_has_the_lines_of_the_old_version() {
    let open = dated(1, "", "");
    let ended = dated(1, "", "2026-11-21");
    for (old, new) in [(&open, &ended), (&ended, &open), (&ended, &dated(1, "2026-01-01", "2026-11-20"))] {
        let prices = Prices::default().with("p/m", new.clone());
        let found = |version: &str| prices.of_version("p", ["m"], version);
        assert_eq!(found(&old.version).as_deref(), Some(new));
        for more in ["2", "+flex", "@..2026-11-21+x"] {
            assert_eq!(found(&format!("{}{more}", open.version)), None, "{more}");
        }
    }
    let figures = |until| {
        let others = OtherPrices { us_tenth: true, ..OtherPrices::default() };
        let rates = Rates { input: Some(10), ..Rates::default() };
        let period = PricePeriod { from: None, until };
        PriceFigures { rates, others, period, ..PriceFigures::default() }
    };
    let [open, ended] = [None, Some(day("2026-11-21"))].map(|until| Price::of_file(figures(until), "s", "2026-11-01"));
    let in_us = PriceTerms { us: true, ..PriceTerms::default() };
    for (old, new) in [(&open, &ended), (&ended, &open)] {
        let prices = Prices::default().with("p/m", new.clone());
        let found = prices.of_version("p", ["m"], &old.with_terms(in_us).unwrap().version);
        assert_eq!(found.map(|price| price.rates.input), Some(Some(11)));
    }
}

#[test]
fn a_built_in_row_is_not_found_by_a_version_with_other_days() {
    let prices = Prices::builtin();
    for version in ["builtin-2026-11-21", "builtin-2026-11-21@..2026-12-30"] {
        assert_eq!(prices.of_version("gemini", ["gemini-3.6-flash"], version), None, "{version}");
    }
}

#[test]
fn a_fine_tuned_model_is_found_by_its_base_model_and_never_has_its_price() {
    let prices = Prices::builtin();
    let found = |model| {
        let Rates { input, cached_input, output, .. } = prices.find("openai", [model], DAY)?.rates;
        Some([input, cached_input, output].map(Option::unwrap))
    };
    for (model, rates) in [
        ("ft:gpt-4.1-2025-04-14:acme::Bx7", Some([3_000_000, 750_000, 12_000_000])),
        ("ft:gpt-4.1-mini-2025-04-14:acme:support:Bx7", Some([800_000, 200_000, 3_200_000])),
        ("ft:gpt-4o-2024-08-06:acme::Bx7", Some([3_750_000, 1_875_000, 15_000_000])),
        ("ft:gpt-4o-mini-2024-07-18:acme::Bx7:ckpt-step-70", Some([300_000, 150_000, 1_200_000])),
        ("ft:gpt-4o-mini-2024-07-18", Some([300_000, 150_000, 1_200_000])),
        ("ft:gpt-5-2025-08-07:acme::Bx7", None),
        ("ft:", None),
        ("ft::", None),
        ("ft:gpt-4o-miniature:acme::Bx7", None),
    ] {
        assert_eq!(found(model), rates, "{model}");
    }
}

#[test]
fn an_end_that_another_price_follows_is_no_expiry() {
    let prices = Prices::default()
        .with("p/ends", dated(1, "", "2026-12-31"))
        .with("p/goes-on", dated(1, "", "2026-12-31"))
        .with("p/goes-on", dated(2, "2027-01-01", ""))
        .with("p/ended", dated(1, "", "2026-11-01"))
        .with("p/endless", flat(1));
    let expiries: Vec<_> = prices.expiries("p").into_iter().map(|end| format!("{} {}", end.until, end.model)).collect();
    assert_eq!(expiries, ["2026-11-01 ended", "2026-12-31 ends"]);
    assert_eq!(prices.expiries("q"), []);
}

#[test]
fn a_newer_table_replaces_the_models_that_it_has_and_an_older_one_only_adds() {
    let table = || {
        Prices::default()
            .with("openai/gpt-5.6", dated(1, "2026-11-22", ""))
            .with("openai/gpt-9", flat(2))
            .with("eu.api.openai.com/gpt-5.5", flat(3))
    };
    let newer = table().over_builtin(true);
    let found =
        |prices: &Prices, host: &str, model, day| prices.find(host, [model], day).and_then(|price| price.rates.input);
    assert_eq!(found(&newer, "openai", "gpt-5.6", day("2026-11-22")), Some(1));
    assert_eq!(found(&newer, "openai", "gpt-5.6", DAY), None, "its rows alone");
    assert_eq!(found(&newer, "openai", "gpt-5", DAY), Some(1_250_000));
    assert_eq!(found(&newer, "eu.api.openai.com", "gpt-5.5", DAY), Some(3));
    let older = table().over_builtin(false);
    assert_eq!(found(&older, "openai", "gpt-5.6", DAY), Some(4_000_000));
    assert_eq!(found(&older, "openai", "gpt-5.6", day("2026-11-22")), None);
    assert_eq!(found(&older, "openai", "gpt-9", DAY), Some(2));
}

#[test]
fn regional_hosts_of_openai_cost_a_tenth_more_since_gpt_5_4() {
    let prices = Prices::builtin();
    for host in ["eu.api.openai.com", "us.api.openai.com"] {
        let rates = |model, day| prices.find(host, [model], day).map(|price| (price.rates.input, price.rates.output));
        for (model, input, output) in [
            ("gpt-5.5", 5_500_000, 33_000_000),
            ("gpt-5.4-nano", 220_000, 1_375_000),
            ("gpt-6.1-sol", 2_200_000, 11_000_000),
            ("gpt-5.6", 4_400_000, 22_000_000),
            ("gpt-5", 1_250_000, 10_000_000),
            ("gpt-4.1-2025-04-14", 2_000_000, 8_000_000),
        ] {
            assert_eq!(rates(model, DAY), Some((Some(input), Some(output))), "{host} {model}");
        }
        assert_eq!(rates("gpt-5.6", DAY.next()), None, "the promotion ends there too");
        assert_eq!(rates("gpt-image-2", DAY), None, "not known there");
        // The audit's example: 400,000 input and 2,000 output tokens cost 4.50 USD, as all rates are those of long
        // requests.
        let price = prices.find(host, ["gpt-5.5"], DAY).unwrap();
        let usage = meter::Usage {
            input: Some(Tokens(400_000)),
            output: Some(Tokens(2_000)),
            ..meter::Usage::empty(meter::Source::Reported)
        };
        assert_eq!(price.cost(&usage).map(|cost| cost.0), Some(4_499_000_000));
        let version = &price.version;
        assert!(version.ends_with(host) && prices.of_version("openai", ["gpt-5.5"], version).is_none(), "{version}");
    }
}
