//! 1,000 generated subscriptions, rated by the rules and by a Python program that shares no code with them.

use std::process::Command;

use access::{
    BillingInterval, ChargeMetric, ChargeModel, ChargeTier, Credits, Day, Money, PlanCharge, PlanPrice, UnitPrice,
};
use billing::rules::exchange::{ExchangeRate, ExchangeRates};
use billing::rules::invoice::{InvoiceDraft, InvoiceLine, LineKind, PlanTerms};
use billing::rules::period::BillingPeriod;
use billing::rules::plan_change::{ChangeDirection, direction, upgrade};
use billing::rules::tax::{Fraction, TaxRule};
use billing::rules::usage::{RatedUsage, UsageDay};
use serde_json::{Value, json};
use uuid::Uuid;

const SUBSCRIPTIONS: u64 = 1_000;
const PERIODS: usize = 3;

/// Xorshift, so that each case is the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

struct Version {
    name: String,
    price: PlanPrice,
}

struct Case {
    subscribed: Day,
    versions: Vec<Version>,
    upgrades: Vec<(Day, usize)>,
    usage: Vec<UsageDay>,
    rates: Vec<ExchangeRate>,
    tax: Option<TaxRule>,
}

/// One plan version during a part of a period.
struct Segment {
    version: usize,
    days: BillingPeriod,
    whole_days: u32,
}

fn unit(random: &mut Random) -> UnitPrice {
    let text = random.pick(&["0.02 IDR", "0.5 IDR", "0.333333333333 IDR", "250 IDR", "1 IDR", "7.25 IDR"]);
    UnitPrice::parse(text).unwrap()
}

fn charge(random: &mut Random, nth: usize) -> PlanCharge {
    let metric =
        random.pick(&[ChargeMetric::Requests, ChargeMetric::Credits, ChargeMetric::Tokens, ChargeMetric::Cost]);
    let model = match (metric, random.below(3)) {
        (ChargeMetric::Cost, _) => ChargeModel::Cost { markup_ppm: 10_000 * u32::try_from(random.below(60)).unwrap() },
        (_, 0) => ChargeModel::PerUnit { unit: unit(random) },
        (_, 1) => ChargeModel::Package { size: 1 + random.below(2_000), unit: unit(random) },
        _ => {
            let first = 1 + random.below(50_000);
            let second = 1 + random.below(50_000);
            let ends = [Some(first), Some(first + second), None];
            ChargeModel::Tiered { tiers: ends.map(|up_to| ChargeTier { up_to, unit: unit(random) }).to_vec() }
        }
    };
    let included = match metric {
        ChargeMetric::Cost => random.pick(&[0, 5_000_000_000, 1]),
        ChargeMetric::Requests | ChargeMetric::Credits | ChargeMetric::Tokens => random.pick(&[0, 1, 1_000, 30_000]),
    };
    let models = if random.below(4) == 0 { vec!["fast".to_owned()] } else { Vec::new() };
    PlanCharge { name: format!("Charge {nth}"), metric, models, included, model }
}

fn version(random: &mut Random, nth: usize) -> Version {
    let price = PlanPrice {
        price: Money::rupiah(i64::try_from(random.below(3_000_000)).unwrap() * i64::from(random.below(5) > 0)),
        interval: if random.below(8) == 0 { BillingInterval::Year } else { BillingInterval::Month },
        trial_days: 0,
        charges: (0..usize::try_from(random.below(4)).unwrap()).map(|nth| charge(random, nth)).collect(),
    };
    assert_eq!(price.check(), Ok(()));
    Version { name: format!("plan-{nth}"), price }
}

fn usage(random: &mut Random, first: Day) -> Vec<UsageDay> {
    let mut days = Vec::new();
    for after in 0..130 {
        if random.below(3) > 0 {
            continue;
        }
        for model in [None, Some("fast"), Some("slow")] {
            days.push(UsageDay {
                day: Day(first.0 + after),
                model: model.map(str::to_owned),
                requests: random.below(3_000),
                credits: Credits::whole(random.below(40_000)),
                tokens: random.below(90_000),
                cost_nano: random.below(9_000_000_000),
                unpriced_requests: random.below(2),
            });
        }
    }
    days
}

fn case(random: &mut Random) -> Case {
    let subscribed = Day(20_800 + u32::try_from(random.below(800)).unwrap());
    let versions: Vec<Version> = (0..3).map(|nth| version(random, nth)).collect();
    let mut upgrades = Vec::new();
    let mut current = 0;
    for after in [random.below(40), 40 + random.below(40)] {
        let next = usize::try_from(random.below(3)).unwrap();
        let is_up = direction(&terms(&versions, current), &terms(&versions, next)) == Ok(ChangeDirection::Upgrade);
        if is_up && random.below(2) == 0 {
            upgrades.push((Day(subscribed.0 + u32::try_from(after).unwrap()), next));
            current = next;
        }
    }
    let rate = |from: u32, idr: u64| ExchangeRate { from: Day(from), micro_idr: idr * 1_000_000 };
    let rates = vec![rate(0, 15_900), rate(subscribed.0 + 17, 16_500 + random.below(900))];
    let tax = (random.below(2) == 0).then(|| TaxRule {
        name: "PPN".to_owned(),
        rate: Fraction { numerator: 12, denominator: 100 },
        base: Fraction { numerator: 11, denominator: 12 },
        from: Day(subscribed.0 + 20),
    });
    let usage = usage(random, subscribed);
    Case { subscribed, versions, upgrades, usage, rates, tax }
}

fn terms(versions: &[Version], of: usize) -> PlanTerms<'_> {
    PlanTerms { version: Uuid::from_u128(of as u128), name: &versions[of].name, price: &versions[of].price }
}

fn issued(case: &Case, day: Day, lines: Vec<InvoiceLine>) -> Value {
    let draft = InvoiceDraft::from_lines(lines, case.tax.as_ref(), day).unwrap();
    let kind = |kind: LineKind| serde_json::to_value(kind).unwrap();
    let lines: Vec<Value> =
        draft.lines.iter().map(|line| json!([kind(line.kind), line.text, line.quantity, line.amount])).collect();
    json!({"lines": lines, "subtotal": draft.subtotal, "base": draft.tax.base, "tax": draft.tax.amount,
        "total": draft.total})
}

/// Rates the life of a subscription with the rules.
fn rated(case: &Case) -> Vec<Value> {
    let interval = |of: usize| case.versions[of].price.interval;
    let mut anchor = BillingPeriod::anchor_of(case.subscribed);
    let mut version = 0;
    let mut period = BillingPeriod::starting(case.subscribed, anchor, interval(version));
    let mut begun = period.first_day;
    let mut upgrades = case.upgrades.iter().peekable();
    let mut segments: Vec<Segment> = Vec::new();
    let plan = |version: usize, period| terms(&case.versions, version).plan_line(period);
    let mut invoices = vec![issued(case, period.first_day, plan(version, period).into_iter().collect())];
    let rates = ExchangeRates::new(case.rates.clone());
    for _ in 0..PERIODS {
        while let Some((day, new)) = upgrades.next_if(|(day, _)| period.contains(*day)) {
            let old = terms(&case.versions, version);
            let next = terms(&case.versions, *new);
            let quote = upgrade(&old, &next, period, *day).unwrap();
            invoices.push(issued(case, *day, quote.lines));
            if let Some(days) = (BillingPeriod { first_day: begun, last_day: period.last_day }).before_day(*day) {
                segments.push(Segment { version, days, whole_days: period.days() });
            }
            (version, begun, period) = (*new, *day, quote.period);
            anchor = quote.anchor_day.unwrap_or(anchor);
        }
        let days = BillingPeriod { first_day: begun, last_day: period.last_day };
        segments.push(Segment { version, days, whole_days: period.days() });
        period = period.following(anchor, interval(version));
        let mut lines: Vec<InvoiceLine> = plan(version, period).into_iter().collect();
        for Segment { version, days, whole_days } in segments.drain(..) {
            let usage = RatedUsage { days, whole_days, usage: &case.usage, rates: &rates };
            lines.extend(terms(&case.versions, version).usage_lines(&usage).unwrap());
        }
        invoices.push(issued(case, period.first_day, lines));
        begun = period.first_day;
    }
    invoices
}

fn written_charge(charge: &PlanCharge) -> Value {
    let metric = match charge.metric {
        ChargeMetric::Requests => "requests",
        ChargeMetric::Credits => "credits",
        ChargeMetric::Tokens => "tokens",
        ChargeMetric::Cost => "cost_nano",
    };
    let mut value =
        json!({"name": charge.name, "metric": metric, "models": charge.models, "included": charge.included});
    let model = match &charge.model {
        ChargeModel::PerUnit { unit } => json!({"model": "per_unit", "unit": unit.decimal()}),
        ChargeModel::Package { size, unit } => json!({"model": "package", "size": size, "unit": unit.decimal()}),
        ChargeModel::Cost { markup_ppm } => json!({"model": "cost", "markup_percent": markup_ppm / 10_000}),
        ChargeModel::Tiered { tiers } => {
            let tiers: Vec<Value> =
                tiers.iter().map(|tier| json!({"up_to": tier.up_to, "unit": tier.unit.decimal()})).collect();
            json!({"model": "tiered", "tiers": tiers})
        }
    };
    value.as_object_mut().unwrap().extend(model.as_object().unwrap().clone());
    value
}

fn written(case: &Case) -> Value {
    let versions: Vec<Value> = case
        .versions
        .iter()
        .enumerate()
        .map(|(id, version)| {
            let charges: Vec<Value> = version.price.charges.iter().map(written_charge).collect();
            json!({"id": id, "name": version.name, "price": version.price.price.amount,
                "interval": version.price.interval.as_str(), "charges": charges})
        })
        .collect();
    let usage: Vec<Value> = case
        .usage
        .iter()
        .map(|of| {
            json!({"day": of.day.to_string(), "model": of.model, "requests": of.requests, "credits": of.credits,
                "tokens": of.tokens, "cost_nano": of.cost_nano, "unpriced_requests": of.unpriced_requests})
        })
        .collect();
    let rates: Vec<Value> = case
        .rates
        .iter()
        .map(|rate| json!({"from": rate.from.to_string(), "idr": rate.micro_idr / 1_000_000}))
        .collect();
    let upgrades: Vec<Value> =
        case.upgrades.iter().map(|(day, version)| json!({"day": day.to_string(), "version": version})).collect();
    let tax = case.tax.as_ref().map(|tax| json!({"from": tax.from.to_string(), "rate": "12/100", "base": "11/12"}));
    json!({"versions": versions, "first_version": 0, "subscribed": case.subscribed.to_string(), "upgrades": upgrades,
        "usage": usage, "rates": rates, "tax": tax, "periods": PERIODS})
}

#[test]
fn an_independent_rater_agrees_to_the_rupiah_on_1000_subscriptions() {
    let mut random = Random(0x0070_6f6c_6c67_6174);
    let cases: Vec<Case> = (0..SUBSCRIPTIONS).map(|_| case(&mut random)).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.json");
    std::fs::write(&file, serde_json::to_vec(&cases.iter().map(written).collect::<Vec<Value>>()).unwrap()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rater.py");
    let output = Command::new("python3").arg(script).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Vec<Vec<Value>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(theirs.len(), cases.len());
    let mut lines = 0;
    let mut upgrades = 0;
    for (nth, (case, theirs)) in cases.iter().zip(&theirs).enumerate() {
        assert_eq!(&rated(case), theirs, "subscription {nth}: {}", written(case));
        lines += theirs.iter().map(|invoice| invoice["lines"].as_array().unwrap().len()).sum::<usize>();
        upgrades += case.upgrades.len();
    }
    // Few lines or upgrades would prove little.
    assert!(lines > 8_000 && upgrades > 200, "{lines} lines, {upgrades} upgrades");
}
