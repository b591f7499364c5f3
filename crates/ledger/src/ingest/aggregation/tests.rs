use std::collections::BTreeMap;

use access::{Caller, Day, KeyNo, RequestId, Tokens, UserNo};
use meter::{Outcome, Source};
use uuid::Uuid;

use super::*;
use crate::ingest::names::Names;

/// A sequence of numbers that a seed determines (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn attempt(&mut self) -> Attempt {
        let tokens = [self.below(1_000), self.below(1_000)].map(|tokens| Some(Tokens(tokens)));
        let usage = Usage { input: tokens[0], reasoning: tokens[1], ..Usage::empty(Source::Reported) };
        Attempt {
            provider: "openai".into(),
            model: None,
            answered_model: None,
            status: Some(200),
            upstream_id: None,
            usage: (self.below(4) > 0).then_some(usage),
            raw_usage: None,
            // Some sums exceed the range of 32 bits, none that of 64.
            cost: (self.below(4) > 0).then(|| NanoUsd(i64::try_from(self.below(1 << 40)).unwrap())),
            unknown: None,
            price_version: None,
            own_credential: false,
            first_byte_us: None,
            duration_us: self.below(10_000_000),
        }
    }

    fn event(&mut self) -> UsageEvent {
        let at = Timestamp(1_800_000_000_000_000 + self.below(4 * 3_600_000_000));
        let user = self.below(3);
        let key = self.below(2);
        let number = |number: u64| i64::try_from(number).unwrap();
        let caller = Caller {
            user: UserNo(number(user)),
            key: KeyNo(number(user * 2 + key)),
            plan: PlanId(Uuid::from_u128(user.into())),
        };
        let money = NanoUsd(number(self.below(1 << 40)));
        let format = (self.below(5) > 0).then(|| "chat".into());
        let outcomes = [Outcome::Completed, Outcome::Interrupted, Outcome::TimedOut];
        UsageEvent {
            id: RequestId(Uuid::from_u128(u128::from(self.below(u64::MAX)))),
            subject: if self.below(8) == 0 { Subject::ANONYMOUS } else { Subject::Key(caller) },
            started_at: at,
            day: Day(at.day().0 - u32::from(self.below(9) == 0)),
            windows: Vec::new(),
            charge: Charge {
                credits: Credits(self.below(5)),
                tokens: Tokens(self.below(5_000)),
                ..Charge::money(money)
            },
            route: "ai".into(),
            format,
            model: None,
            streamed: false,
            status: if self.below(5) == 0 { 429 } else { 200 },
            outcome: outcomes[usize::try_from(self.below(3)).unwrap()],
            request_bytes: 1,
            response_bytes: 2,
            duration_us: self.below(10_000_000),
            attempts: (0..self.below(3)).map(|_| self.attempt()).collect(),
            refusal: None,
            origin: meter::RequestOrigin::default(),
        }
    }
}

/// Returns the rows of `totals` over single events, added by key.
fn one_by_one<K: Ord, V: Default>(
    events: &[CountedEvent<'_>],
    totals: impl Fn(&[CountedEvent<'_>]) -> Vec<(K, V)>,
    add: impl Fn(&mut V, &V),
) -> Vec<(K, V)> {
    let mut rows: BTreeMap<K, V> = BTreeMap::new();
    for event in events {
        for (key, values) in totals(std::slice::from_ref(event)) {
            add(rows.entry(key).or_default(), &values);
        }
    }
    rows.into_iter().collect()
}

/// Adds up rows by their day.
fn by_day<K>(rows: &[(K, SeriesTotals)], day: impl Fn(&K) -> i64) -> BTreeMap<i64, SeriesTotals> {
    let mut days: BTreeMap<i64, SeriesTotals> = BTreeMap::new();
    for (key, of) in rows {
        days.entry(day(key)).or_default().add(of);
    }
    days
}

#[test]
fn totals_of_a_batch_equal_those_of_its_events_one_by_one() {
    for seed in 1..=100 {
        let mut numbers = Numbers(seed);
        let events: Vec<UsageEvent> = (0..seed).map(|_| numbers.event()).collect();
        let names = Names::default();
        let mut names = BatchNames::new(&names);
        let counted = events.iter().map(|event| {
            let counted = CountedEvent::new(event, &mut names);
            let model = (event.streamed || event.duration_us % 2 == 0).then_some(i64::from(event.status % 4));
            let labels = i64::try_from(event.duration_us % 4).unwrap() - 1;
            CountedEvent { route: i64::from(event.status), model, labels, ..counted }
        });
        let counted: Vec<CountedEvent<'_>> = counted.collect();
        let hours_of = |events: &[CountedEvent<'_>]| super::hours(events, &[], |_| None);
        let hours = hours_of(&counted);
        let counts = |event: &&CountedEvent<'_>| event.event.counts() && event.event.subject.caller().is_some();

        let add_day = |sum: &mut CallerTotals, more: &CallerTotals| {
            sum.totals.add(&more.totals);
            sum.charge = sum.charge.and(&more.charge);
        };
        assert_eq!(days(&counted, &[]), one_by_one(&counted, |one| days(one, &[]), add_day));
        let add_plan = |sum: &mut Charge, more: &Charge| *sum = sum.and(more);
        assert_eq!(plans(&counted, &[]), one_by_one(&counted, |one| plans(one, &[]), add_plan));
        let add_model = |sum: &mut ModelTotals, more: &ModelTotals| {
            sum.totals.add(&more.totals);
            sum.results.add(more.results);
            sum.duration_us += more.duration_us;
        };
        assert_eq!(models(&counted), one_by_one(&counted, models, add_model));
        assert_eq!(hours, one_by_one(&counted, |one| hours_of(one), SeriesTotals::add));
        assert_eq!(routes(&hours), one_by_one(&counted, |one| routes(&hours_of(one)), SeriesTotals::add));

        // The labels of a day add up to the day.
        let labels_of = |events: &[CountedEvent<'_>]| super::labels(events, &[], |_| 0);
        assert_eq!(labels_of(&counted), one_by_one(&counted, |one| labels_of(one), SeriesTotals::add));
        assert_eq!(by_day(&labels_of(&counted), |of| of.day), by_day(&hours, |of| of.day));

        // The money in each table is that of the attempts and charges.
        let cost = |event: &CountedEvent<'_>| -> i128 {
            event.event.attempts.iter().filter_map(|attempt| attempt.cost).map(|cost| i128::from(cost.0)).sum()
        };
        let costs: i128 = counted.iter().filter(counts).map(cost).sum();
        let of_days = days(&counted, &[]);
        assert_eq!(of_days.iter().map(|(_, of)| i128::from(of.totals.cost.0)).sum::<i128>(), costs);
        // Totals of hours and routes also contain requests without a user.
        let costs: i128 = counted.iter().filter(|event| event.event.counts()).map(cost).sum();
        assert_eq!(hours.iter().map(|(_, of)| i128::from(of.totals.cost.0)).sum::<i128>(), costs);
        assert_eq!(routes(&hours).iter().map(|(_, of)| i128::from(of.totals.cost.0)).sum::<i128>(), costs);
        let charged: i128 = counted.iter().filter(counts).map(|event| i128::from(event.event.charge.money.0)).sum();
        assert_eq!(of_days.iter().map(|(_, of)| i128::from(of.charge.money.0)).sum::<i128>(), charged);
        assert_eq!(plans(&counted, &[]).iter().map(|(_, of)| i128::from(of.money.0)).sum::<i128>(), charged);
    }
}
