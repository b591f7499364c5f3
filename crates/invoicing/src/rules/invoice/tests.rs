//! Invoices: one golden invoice per charge model, sums, tax, and late usage.

use access::{BillingInterval, ChargeMetric, ChargeModel, ChargeTier, Credits, Money, PlanCharge};

use super::*;
use crate::rules::exchange::{ExchangeRate, ExchangeRates};
use crate::rules::tax::ppn;
use crate::rules::usage::UsageDay;

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn unit(text: &str) -> UnitPrice {
    UnitPrice::parse(text).unwrap()
}

fn november() -> BillingPeriod {
    BillingPeriod::starting(day("2026-11-01"), 1, BillingInterval::Month)
}

fn plan(charges: Vec<PlanCharge>) -> PlanPrice {
    PlanPrice { price: Money::rupiah(150_000), interval: BillingInterval::Month, trial_days: 0, charges }
}

fn terms(price: &PlanPrice) -> PlanTerms<'_> {
    PlanTerms { version: Uuid::nil(), name: "pro", price }
}

fn charge(name: &str, metric: ChargeMetric, included: u64, model: ChargeModel) -> PlanCharge {
    PlanCharge { name: name.to_owned(), metric, models: Vec::new(), included, model }
}

fn usage_of(text: &str, requests: u64, credits: u64, cost_nano: u64) -> UsageDay {
    let tokens = credits * 10;
    UsageDay {
        day: day(text),
        model: None,
        requests,
        credits: Credits::whole(credits),
        tokens,
        cost_nano,
        unpriced_requests: 2,
    }
}

fn lines(price: &PlanPrice, usage: &[UsageDay]) -> Vec<InvoiceLine> {
    lines_at(16_500_000_000, price, usage)
}

fn lines_at(micro_idr: u64, price: &PlanPrice, usage: &[UsageDay]) -> Vec<InvoiceLine> {
    let rates = ExchangeRates::new(vec![ExchangeRate { from: day("2026-11-01"), micro_idr }]);
    let usage = RatedUsage { days: november(), whole_days: 30, usage, rates: &rates };
    terms(price).usage_lines(&usage).unwrap()
}

#[test]
fn each_charge_model_has_its_golden_invoice() {
    let tiers = vec![
        ChargeTier { up_to: Some(1_000_000), unit: unit("0.5 IDR") },
        ChargeTier { up_to: None, unit: unit("0.3 IDR") },
    ];
    let per_token = PlanCharge {
        models: vec!["fast".to_owned()],
        ..charge("Tokens of fast", ChargeMetric::Tokens, 0, ChargeModel::PerUnit { unit: unit("0.02 IDR") })
    };
    let price = plan(vec![
        charge("LLM usage", ChargeMetric::Cost, 5_000_000_000, ChargeModel::Cost { markup_ppm: 200_000 }),
        charge("Credits", ChargeMetric::Credits, 300_000, ChargeModel::Tiered { tiers }),
        charge("Requests", ChargeMetric::Requests, 0, ChargeModel::Package { size: 1_000, unit: unit("250 IDR") }),
        per_token,
    ]);
    let fast = UsageDay { model: Some("fast".to_owned()), tokens: 1_250, ..UsageDay::default() };
    let usage = [
        usage_of("2026-11-03", 700, 1_000_000, 4_000_000_000),
        usage_of("2026-11-20", 301, 300_001, 3_000_000_000),
        UsageDay { day: day("2026-11-03"), ..fast },
    ];
    let mut all = vec![terms(&price).plan_line(november().following(1, BillingInterval::Month)).unwrap()];
    all.extend(lines(&price, &usage));
    let figures: Vec<(LineKind, &str, u64, i64)> =
        all.iter().map(|line| (line.kind, line.text.as_str(), line.quantity, line.amount)).collect();
    let expected = [
        (LineKind::Plan, "pro", 1, 150_000),
        (LineKind::Usage, "LLM usage", 2_000_000_000, 39_600),
        (LineKind::Usage, "Credits", 1_000_001, 500_000),
        (LineKind::Usage, "Requests", 1_001, 500),
        (LineKind::Usage, "Tokens of fast", 1_250, 25),
        (LineKind::Unpriced, UNPRICED, 4, 0),
    ];
    assert_eq!(figures, expected);
    let draft = InvoiceDraft::from_lines(all, Some(&ppn()), day("2026-12-01")).unwrap();
    assert_eq!((draft.subtotal, draft.tax.base, draft.tax.amount, draft.total), (690_125, 632_615, 75_914, 766_039));
}

#[test]
fn the_total_is_the_sum_of_the_lines_and_the_tax_is_rounded_once() {
    // Tax of each line would be 3 × 0.44, rounded to 0; the tax of the sum is 1.
    let price = plan(Vec::new());
    let line = |amount| terms(&price).priced_line(LineKind::Plan, amount, november());
    let draft = InvoiceDraft::from_lines(vec![line(4), line(4), line(4)], Some(&ppn()), day("2026-12-01")).unwrap();
    assert_eq!((draft.subtotal, draft.tax, draft.total), (12, TaxAmount { base: 11, amount: 1 }, 13));
    let too_large = InvoiceDraft::from_lines(vec![line(i64::MAX), line(1)], None, day("2026-12-01"));
    assert_eq!(too_large, Err(AmountOverflow));
}

#[test]
fn late_usage_is_billed_once_on_the_next_invoice() {
    let price = plan(vec![charge(
        "Requests",
        ChargeMetric::Requests,
        0,
        ChargeModel::Package { size: 1_000, unit: unit("250 IDR") },
    )]);
    let first = lines(&price, &[usage_of("2026-11-03", 900, 0, 0)]);
    assert_eq!(late_lines(&first, &first), Ok(Vec::new()));
    // 50 late requests fit into the package that was billed; 200 begin another one.
    let now = lines(&price, &[usage_of("2026-11-03", 950, 0, 0)]);
    assert_eq!(late_lines(&now, &first), Ok(Vec::new()));
    let now = lines(&price, &[usage_of("2026-11-03", 1_100, 0, 0)]);
    let late = late_lines(&now, &first).unwrap();
    let figures: Vec<(LineKind, u64, i64)> = late.iter().map(|line| (line.kind, line.quantity, line.amount)).collect();
    assert_eq!(figures, [(LineKind::Late, 200, 250)]);
    let billed = [first, late].concat();
    assert_eq!(late_lines(&now, &billed), Ok(Vec::new()));
}

#[test]
fn a_later_exchange_rate_without_later_usage_is_not_late_usage() {
    let price = plan(vec![charge("LLM usage", ChargeMetric::Cost, 0, ChargeModel::Cost { markup_ppm: 0 })]);
    let billed = lines(&price, &[usage_of("2026-11-03", 10, 0, 2_000_000_000)]);
    let now = lines_at(17_000_000_000, &price, &[usage_of("2026-11-03", 10, 0, 2_000_000_000)]);
    assert!(now[0].amount > billed[0].amount, "{now:?}");
    assert_eq!(late_lines(&now, &billed), Ok(Vec::new()));
    let now = lines_at(17_000_000_000, &price, &[usage_of("2026-11-03", 11, 0, 3_000_000_000)]);
    assert_eq!(late_lines(&now, &billed).unwrap().len(), 1);
}

#[test]
fn a_deleted_charge_keeps_the_usage_of_the_open_period_and_is_not_billed_in_the_next_one() {
    let requests = charge("Requests", ChargeMetric::Requests, 0, ChargeModel::PerUnit { unit: unit("2 IDR") });
    let before = plan(vec![requests]);
    let after = plan(Vec::new());
    let usage = [usage_of("2026-11-03", 10, 0, 0)];
    // The version of the open period determines its charges; the version of the next one has none.
    assert_eq!(lines(&before, &usage).first().map(|line| line.amount), Some(20));
    assert_eq!(lines(&after, &usage), Vec::new());
}
