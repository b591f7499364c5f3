//! Charges: the arithmetic examples, the bounds of tiers and packages, and rates by day.

use access::BillingInterval;

use super::*;
use crate::rules::exchange::ExchangeRate;

const FIRST: &str = "2026-11-01";

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn unit(text: &str) -> UnitPrice {
    UnitPrice::parse(text).unwrap()
}

fn charge(metric: ChargeMetric, included: u64, model: ChargeModel) -> PlanCharge {
    PlanCharge { name: "Usage".to_owned(), metric, models: Vec::new(), included, model }
}

fn of_credits(text: &str, credits: u64) -> UsageDay {
    UsageDay { day: day(text), credits: Credits::whole(credits), ..UsageDay::default() }
}

fn of_micro_credits(text: &str, micro: u64) -> UsageDay {
    UsageDay { day: day(text), credits: Credits(micro), ..UsageDay::default() }
}

fn of_cost(text: &str, cost_nano: u64) -> UsageDay {
    UsageDay { day: day(text), cost_nano, ..UsageDay::default() }
}

fn november() -> BillingPeriod {
    BillingPeriod::starting(day(FIRST), 1, BillingInterval::Month)
}

fn rates(listed: &[(&str, u64)]) -> ExchangeRates {
    ExchangeRates::new(
        listed.iter().map(|(from, idr)| ExchangeRate { from: day(from), micro_idr: idr * 1_000_000 }).collect(),
    )
}

fn rate(charge: &PlanCharge, usage: &[UsageDay], rates: &ExchangeRates) -> Result<Option<RatedCharge>, RatingError> {
    RatedUsage { days: november(), whole_days: 30, usage, rates }.rate(charge, Currency::Idr)
}

fn amount(charge: &PlanCharge, usage: &[UsageDay]) -> i64 {
    rate(charge, usage, &ExchangeRates::default()).unwrap().map_or(0, |rated| rated.amount)
}

fn tiers() -> ChargeModel {
    ChargeModel::Tiered {
        tiers: vec![
            ChargeTier { up_to: Some(1_000_000), unit: unit("0.5 IDR") },
            ChargeTier { up_to: None, unit: unit("0.3 IDR") },
        ],
    }
}

#[test]
fn the_last_unit_of_a_tier_has_its_price() {
    let charge = charge(ChargeMetric::Credits, 300_000, tiers());
    for (credits, expected) in [
        (0, 0),
        (300_000, 0),
        (300_001, 1),
        (1_299_999, 500_000),
        (1_300_000, 500_000),
        (1_300_001, 500_000),
        (1_300_002, 500_001),
        (1_300_010, 500_003),
    ] {
        assert_eq!(amount(&charge, &[of_credits(FIRST, credits)]), expected, "{credits}");
    }
}

#[test]
fn the_sum_of_credits_is_rounded_down() {
    let usage = [of_micro_credits(FIRST, 600_000), of_micro_credits("2026-11-02", 1_600_000)];
    for (included, expected) in [(0, Some(2)), (1, Some(1)), (2, None)] {
        let charge = charge(ChargeMetric::Credits, included, ChargeModel::PerUnit { unit: unit("1 IDR") });
        let rated = rate(&charge, &usage, &ExchangeRates::default()).unwrap();
        assert_eq!(rated.map(|rated| rated.units), expected, "{included}");
    }
}

#[test]
fn a_package_that_is_begun_is_charged() {
    let charge = charge(ChargeMetric::Credits, 0, ChargeModel::Package { size: 1_000, unit: unit("250 IDR") });
    for (credits, expected) in [(0, 0), (1, 250), (1_000, 250), (1_001, 500)] {
        assert_eq!(amount(&charge, &[of_credits(FIRST, credits)]), expected, "{credits}");
    }
}

#[test]
fn units_are_rounded_once_per_line() {
    let charge = charge(ChargeMetric::Credits, 0, ChargeModel::PerUnit { unit: unit("0.02 IDR") });
    let usage: Vec<UsageDay> = (1..=25).map(|n| of_credits(&format!("2026-11-{n:02}"), 1)).collect();
    // 25 × 0.02 = 0.5, which is 1 rupiah; rounded by day it would be 0.
    assert_eq!(amount(&charge, &usage), 1);
}

#[test]
fn each_day_has_its_own_rate() {
    let charge = charge(ChargeMetric::Cost, 0, ChargeModel::Cost { markup_ppm: 0 });
    let usage = [of_cost("2026-11-10", 1_000_000_000), of_cost("2026-11-20", 1_000_000_000)];
    let rated = rate(&charge, &usage, &rates(&[("2026-11-01", 16_000), ("2026-11-15", 17_000)])).unwrap();
    assert_eq!(rated.unwrap().amount, 33_000);
}

#[test]
fn a_day_without_a_rate_is_an_error() {
    let charge = charge(ChargeMetric::Cost, 0, ChargeModel::Cost { markup_ppm: 0 });
    let usage = [of_cost("2026-11-02", 0), of_cost("2026-11-03", 1), of_cost("2026-11-20", 1)];
    let rated = rate(&charge, &usage, &rates(&[("2026-11-15", 17_000)]));
    assert_eq!(rated, Err(RatingError::NoRate { day: day("2026-11-03") }));
}

#[test]
fn cost_has_a_markup_after_the_included_dollars() {
    let charge = charge(ChargeMetric::Cost, 5_000_000_000, ChargeModel::Cost { markup_ppm: 200_000 });
    let rates = rates(&[("2026-11-01", 16_500)]);
    let usage = [of_cost("2026-11-02", 4_000_000_000), of_cost("2026-11-03", 3_000_000_000)];
    let rated = rate(&charge, &usage, &rates).unwrap().unwrap();
    assert_eq!((rated.units, rated.amount), (2_000_000_000, 39_600));
    let usage = [of_cost("2026-11-02", 5_000_000_000)];
    assert_eq!(rate(&charge, &usage, &rates), Ok(None));
}

#[test]
fn an_included_amount_counts_usage_once() {
    let charge = charge(ChargeMetric::Credits, 100, ChargeModel::PerUnit { unit: unit("1 IDR") });
    let usage = [of_credits("2026-11-01", 60), of_credits("2026-11-02", 60), of_credits("2026-11-03", 60)];
    assert_eq!(amount(&charge, &usage), 80);
}

#[test]
fn usage_of_other_days_and_other_models_is_not_counted() {
    let mut charge = charge(ChargeMetric::Tokens, 0, ChargeModel::PerUnit { unit: unit("1 IDR") });
    let total = |text: &str, tokens| UsageDay { day: day(text), tokens, ..UsageDay::default() };
    let of = |model: &str, tokens| UsageDay { model: Some(model.to_owned()), ..total(FIRST, tokens) };
    let usage =
        [total("2026-10-31", 1_000), total(FIRST, 10), total("2026-12-01", 1_000), of("fast", 7), of("slow", 3)];
    assert_eq!(amount(&charge, &usage), 10);
    charge.models = vec!["fast".to_owned()];
    assert_eq!(amount(&charge, &usage), 7);
    charge.models = vec!["other".to_owned()];
    assert_eq!(rate(&charge, &usage, &ExchangeRates::default()), Ok(None));
}

#[test]
fn amounts_at_the_end_of_the_range_are_errors_instead_of_wrong_sums() {
    let charge = charge(ChargeMetric::Credits, 0, ChargeModel::PerUnit { unit: unit("1000000 IDR") });
    let usage = [of_credits(FIRST, u64::MAX)];
    assert_eq!(rate(&charge, &usage, &ExchangeRates::default()), Err(AmountOverflow.into()));
    let usage = [of_credits(FIRST, u64::MAX), of_credits("2026-11-02", 1)];
    assert_eq!(rate(&charge, &usage, &ExchangeRates::default()), Err(AmountOverflow.into()));
}
