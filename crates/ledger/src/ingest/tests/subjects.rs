//! Charges of subjects without a user.

use access::{BudgetScope, SubjectId, SubjectText};

use super::*;
use crate::SubjectCredits;

fn ada() -> Subject {
    Subject::Token { issuer: SubjectText::parse("https://id").unwrap(), sub: SubjectText::parse("ada").unwrap() }
}

fn counted(subject: &Subject, day: Day, credits: u64) -> Counts {
    let Record::Counts { counts, .. } = counts(1) else { unreachable!() };
    Counts { subject: subject.clone(), day, credits: Credits(credits), ..counts[0].clone() }
}

fn event_of(subject: &Subject, day: Day) -> UsageEvent {
    UsageEvent { id: id(), subject: subject.clone(), day, ..event() }
}

#[tokio::test]
async fn charges_of_a_subject_add_up_by_day_and_the_others_have_none() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        let ada = ada();
        let day = Day(20_833);
        let bob =
            Subject::Basic { issuer: SubjectText::parse("ops").unwrap(), name: SubjectText::parse("bob").unwrap() };
        let refused = UsageEvent { attempts: Vec::new(), outcome: Outcome::Completed, ..event_of(&ada, day) };
        let free = UsageEvent { charge: Charge::default(), ..event_of(&bob, day) };
        for _ in 0..2 {
            let events = vec![event_of(&ada, day), UsageEvent { id: id(), ..refused.clone() }];
            let events = events.into_iter().chain([UsageEvent { id: id(), ..free.clone() }, event()]).collect();
            let counts = vec![counted(&ada, day, 6), counted(&ada, day.next(), 7), counted(&bob, day, 0)];
            ingest(&node, events, [counts, vec![counted(&Subject::ANONYMOUS, day, 9)]].concat()).await;
        }
        let id = SubjectId::from_subject(&ada).unwrap();
        let mut rows = table(&store, "daily_subjects").await;
        rows.sort_by_key(|row| row["day"].clone());
        assert_eq!(rows.len(), 2);
        let of = format!("subject_id={} node_id={}", id.0.simple(), node.id().simple());
        expect(&rows[0], &format!("{of} day=20833 credits=82 charged_tokens=72 charged_nano=74"));
        expect(&rows[1], &format!("{of} day=20834 credits=14 charged_tokens=0 charged_nano=0"));
        let scope = BudgetScope::Subject(id);
        for (period, credits) in
            [(Period::containing(LimitPeriod::Day, day), 82), (Period::containing(LimitPeriod::Month, day), 96)]
        {
            assert_eq!(store.charge_of(scope, period).await.unwrap().credits, Credits(credits), "{period:?}");
            let cell =
                CounterId { budget: BudgetId { scope, measure: meter::Measure::Credits, per: period.per() }, period };
            let mut snapshot = store.begin_read().await.unwrap();
            let charged = store::limits::charges::by_node::in_store(&mut snapshot, &[cell]).await.unwrap();
            assert_eq!((charged.all(cell), charged.through(cell, node.lessee())), (Amount(credits), Amount(credits)));
            snapshot.rollback().await.unwrap();
        }
        // The id of a subject is that of its row, so a report finds the name.
        let ids = store.scope_ids([scope]).await.unwrap();
        let stored = ids.subject(id).unwrap();
        assert_eq!([&stored.kind, &stored.issuer, &stored.name], ["token", "https://id", "ada"]);
    }
}

#[tokio::test]
async fn subjects_of_an_issuer_are_listed_and_counted_by_the_credits_of_a_day() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        let day = Day(20_833);
        let named = |name: &str| Subject::Basic {
            issuer: SubjectText::parse("ops").unwrap(),
            name: SubjectText::parse(name).unwrap(),
        };
        let of_day = [("bob", 9), ("carl", 1), ("dora", 7)].map(|(name, credits)| counted(&named(name), day, credits));
        let others = vec![counted(&ada(), day, 80), counted(&named("bob"), day.next(), 70)];
        ingest(&node, Vec::new(), [of_day.to_vec(), others].concat()).await;
        ingest(&node, Vec::new(), vec![counted(&named("dora"), day, 4)]).await;
        let ledger = crate::Ledger::new(store.clone());
        let spent = |name, credits| SubjectCredits {
            subject: SubjectId::from_subject(&named(name)).unwrap(),
            credits: Credits(credits),
        };
        let listed = async |least, max| ledger.busiest_subjects(day, "ops", Credits(least), max).await.unwrap();
        assert_eq!(listed(1, 2).await, (vec![spent("dora", 11), spent("bob", 9)], 3));
        assert_eq!(listed(9, 1).await, (vec![spent("dora", 11)], 2));
        assert_eq!(listed(12, 9).await, (Vec::new(), 0));
    }
}

#[tokio::test]
async fn a_batch_whose_charges_of_subjects_fail_is_charged_once_by_the_next_attempt() {
    for place in Place::both().await {
        let store = place.open().await;
        let node = place.join(&store).await;
        let mut known = KnownRows::default();
        let record = Record::Event(event_of(&ada(), Day(34)));
        for refused in ["daily_subjects", "ingested"] {
            refuse(&store, refused, "P0001").await;
            let mut rows = Rows { read: vec![PLACE], ..rows_of([record.clone()]) };
            assert!(rows.write(&node, &mut known, None).await.is_err(), "{refused}");
            for empty in ["daily_subjects", "subjects", "usage_events"] {
                assert_eq!(table(&store, empty).await, [], "{empty}");
            }
            allow(&store, refused).await;
        }
        for _ in 0..2 {
            let mut rows = Rows { read: vec![PLACE], ..rows_of([record.clone()]) };
            rows.write(&node, &mut known, None).await.unwrap();
        }
        assert_eq!(table(&store, "daily_subjects").await[0]["credits"], "35");
    }
}
