//! Changes of a plan: proration by the whole period, the old price, and the direction.

use access::{BillingInterval, Money, PlanPrice};
use uuid::Uuid;

use super::*;
use crate::rules::invoice::InvoiceDraft;
use crate::rules::tax::ppn;

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn price(text: &str, interval: BillingInterval) -> PlanPrice {
    PlanPrice { price: Money::parse(text).unwrap(), interval, trial_days: 0, charges: Vec::new() }
}

fn monthly(text: &str) -> PlanPrice {
    price(text, BillingInterval::Month)
}

fn terms<'a>(name: &'a str, price: &'a PlanPrice) -> PlanTerms<'a> {
    PlanTerms { version: Uuid::nil(), name, price }
}

fn december() -> BillingPeriod {
    BillingPeriod::starting(day("2026-12-01"), 1, BillingInterval::Month)
}

fn amounts(quote: &ChangeQuote) -> Vec<(LineKind, i64)> {
    quote.lines.iter().map(|line| (line.kind, line.amount)).collect()
}

#[test]
fn the_credit_of_a_change_uses_the_old_price() {
    let old = monthly("150000 IDR");
    let new = monthly("1500000 IDR");
    let quote = upgrade(&terms("pro", &old), &terms("business", &new), december(), day("2026-12-11")).unwrap();
    assert_eq!(amounts(&quote), [(LineKind::Credit, -101_613), (LineKind::Proration, 1_016_129)]);
    assert_eq!((quote.surplus, quote.period, quote.anchor_day), (0, december(), None));
    let draft = InvoiceDraft::from_lines(quote.lines, Some(&ppn()), day("2026-12-11")).unwrap();
    assert_eq!((draft.subtotal, draft.tax.base, draft.tax.amount, draft.total), (914_516, 838_306, 100_597, 1_015_113));
}

#[test]
fn month_to_year_and_back_is_up_or_down_by_the_rule_that_is_documented() {
    let month = monthly("150000 IDR");
    let year = price("1500000 IDR", BillingInterval::Year);
    let month = terms("pro", &month);
    let year = terms("pro-year", &year);
    // 12 × 150,000 is more than 1,500,000: the year with its discount is a downgrade at the end of the period.
    assert_eq!(direction(&month, &year), Ok(ChangeDirection::Downgrade));
    assert_eq!(direction(&year, &month), Ok(ChangeDirection::Upgrade));
    assert_eq!(direction(&year, &year), Ok(ChangeDirection::Downgrade));
}

#[test]
fn another_interval_begins_a_new_period_with_its_whole_price() {
    let old = monthly("150000 IDR");
    let new = price("18000000 IDR", BillingInterval::Year);
    let quote = upgrade(&terms("pro", &old), &terms("team", &new), december(), day("2026-12-11")).unwrap();
    assert_eq!(amounts(&quote), [(LineKind::Credit, -101_613), (LineKind::Plan, 18_000_000)]);
    assert_eq!(quote.anchor_day, Some(11));
    assert_eq!((quote.period.first_day, quote.period.last_day), (day("2026-12-11"), day("2027-12-10")));
}

#[test]
fn a_credit_beyond_the_charge_is_a_surplus_instead_of_a_negative_invoice() {
    let old = price("1200000 IDR", BillingInterval::Year);
    let new = monthly("150000 IDR");
    let year = BillingPeriod::starting(day("2026-12-01"), 1, BillingInterval::Year);
    let quote = upgrade(&terms("year", &old), &terms("pro", &new), year, day("2026-12-01")).unwrap();
    assert_eq!(amounts(&quote), [(LineKind::Credit, -150_000), (LineKind::Plan, 150_000)]);
    assert_eq!(quote.surplus, 1_050_000);
}

#[test]
fn another_currency_than_the_subscribers_is_refused() {
    let old = monthly("150000 IDR");
    let new = monthly("15 USD");
    let old = terms("pro", &old);
    let new = terms("dollar", &new);
    assert_eq!(direction(&old, &new), Err(PlanChangeError::Currency));
    let quote = upgrade(&old, &new, december(), day("2026-12-11"));
    assert_eq!(quote, Err(PlanChangeError::Currency));
    let outside = upgrade(&old, &old, december(), day("2027-01-01"));
    assert_eq!(outside, Err(PlanChangeError::OutsidePeriod { day: day("2027-01-01") }));
}
