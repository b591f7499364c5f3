//! Charges of subjects without a user.

use access::{Subject, SubjectText};
use store::Actor;

use super::*;
use crate::reconcile::repair::SUBJECTS_MAX;
use crate::usage_fixture::number;

fn ada() -> Subject {
    Subject::Basic { issuer: SubjectText::parse("ops").unwrap(), name: SubjectText::parse("ada").unwrap() }
}

/// Stores charges of events and of counts, on two days.
async fn charged(database: &Database, store: &Store) {
    let mut node = IngestNode::join(store, database.folder.path()).await;
    for day in [Day(TODAY.0 - 1), TODAY] {
        let mut made = UsageFixture::starting_on(day);
        for _ in 0..2 {
            let event = UsageEvent { subject: ada(), ..made.event(None, vec![attempt(1)]) };
            let counts = vec![meter::Counts { subject: ada(), ..made.counts(None, day) }];
            node.write(&[Record::Event(event), Record::Counts { id: store.new_id(), counts }]).await;
        }
    }
}

#[tokio::test]
async fn charges_of_subjects_agree_with_their_events_and_counts() {
    for database in Database::both().await {
        let store = database.open().await;
        charged(&database, &store).await;
        assert_eq!(differences(&store).await, []);
    }
}

#[tokio::test]
async fn a_changed_charge_of_a_subject_is_a_difference_of_its_day() {
    for database in Database::both().await {
        let store = database.open().await;
        charged(&database, &store).await;
        let subject = SubjectId::from_subject(&ada()).unwrap();
        let difference = |measure, found: i128, expected: i128| Difference {
            place: DifferencePlace::Subject { day: TODAY, subject },
            measure,
            expected: ("events", expected),
            found: ("totals of subjects", found),
        };
        let today = TODAY.0;
        tell(&store, &format!("UPDATE daily_subjects SET credits = credits - 1, charged_nano = 0 WHERE day = {today}"))
            .await;
        assert_eq!(
            differences(&store).await,
            [difference("credits", 33, 34), difference("charged_nano", 0, 2 * 1_234_567_890)]
        );
        tell(&store, &format!("DELETE FROM daily_subjects WHERE day = {today}")).await;
        let found = differences(&store).await;
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], difference("credits", 0, 34));
    }
}

#[tokio::test]
async fn an_event_of_a_subject_is_found_although_a_clock_jumped() {
    for database in Database::both().await {
        let store = database.open().await;
        let mut node = IngestNode::join(&store, database.folder.path()).await;
        let event = UsageFixture::starting_on(Day(TODAY.0 - 40)).event(None, vec![attempt(1)]);
        node.write(&[Record::Event(UsageEvent { day: TODAY, subject: ada(), ..event })]).await;
        assert_eq!(differences(&store).await, []);
    }
}

/// A statement that changes the totals of today, and the number of differences that it causes.
const PLANTED: [(&str, usize); 5] = [
    ("UPDATE daily_subjects SET credits = credits - 1, charged_nano = 0 WHERE day = {today}", 2),
    ("UPDATE daily_subjects SET charged_tokens = charged_tokens + 8 WHERE day = {today}", 1),
    ("DELETE FROM daily_subjects WHERE day = {today}", 3),
    // A row of a subject without any request.
    ("INSERT INTO daily_subjects SELECT {id}, {id}, day, node_id, 7, 0, 0, created_at, updated_at FROM daily_subjects
        WHERE day = {today} LIMIT 1", 1),
    ("UPDATE usage_counts SET credits = credits + 5 WHERE day = {today} AND minute = (SELECT min(minute)
        FROM usage_counts WHERE day = {today})", 4),
];

#[tokio::test]
async fn wrong_charges_of_a_subject_are_repaired_and_budgets_follow() {
    for database in Database::both().await {
        let store = database.open().await;
        charged(&database, &store).await;
        let spent = async || {
            let scope = access::BudgetScope::Subject(SubjectId::from_subject(&ada()).unwrap());
            store.charge_of(scope, meter::Period::containing(access::LimitPeriod::Day, TODAY)).await.unwrap()
        };
        let before = spent().await;
        let id = if store.kind() == StoreKind::Sqlite { "randomblob(16)" } else { "gen_random_uuid()" };
        for (nth, (planted, count)) in PLANTED.into_iter().enumerate() {
            let sql = planted.replace("{today}", &TODAY.0.to_string()).replace("{id}", id);
            tell(&store, &sql).await;
            assert_eq!(differences(&store).await.len(), count, "{sql}");
            let repaired = Ledger::new(store.clone()).repair_totals(&Actor::COMMAND, DAYS).await.unwrap();
            // Totals of hours and routes contain the credits of counts too.
            let others = u64::from(planted.contains("usage_counts"));
            let expected = RepairedTotals {
                subjects: 1,
                hours: others,
                routes: others,
                labels: others,
                ..RepairedTotals::default()
            };
            assert_eq!(repaired, expected, "{sql}");
            assert_eq!(differences(&store).await, [], "{sql}");
            let lines = number(&store, "SELECT count(*) FROM audit_log WHERE action = 'totals.repair'").await;
            assert_eq!(lines, i64::try_from(nth).unwrap() + 1, "{sql}");
        }
        assert_eq!(spent().await, Charge { credits: Credits(before.credits.0 + 5), ..before });
        let again = Ledger::new(store.clone()).repair_totals(&Actor::COMMAND, DAYS).await.unwrap();
        assert_eq!(again, RepairedTotals::default());
    }
}

#[tokio::test]
async fn charges_of_more_subjects_than_a_transaction_repairs_are_all_repaired() {
    const SUBJECTS: usize = 2 * SUBJECTS_MAX + 1;
    let database = Database::sqlite();
    let store = database.open().await;
    let mut node = IngestNode::join(&store, database.folder.path()).await;
    let mut made = UsageFixture::starting_on(TODAY);
    let mut counts = |name: usize| {
        let name = SubjectText::parse(&name.to_string()).unwrap();
        let subject = Subject::Basic { issuer: SubjectText::parse("ops").unwrap(), name };
        meter::Counts { subject, ..made.counts(None, TODAY) }
    };
    let counts = (0..SUBJECTS).map(&mut counts).collect();
    node.write(&[Record::Counts { id: store.new_id(), counts }]).await;
    tell(&store, "UPDATE daily_subjects SET credits = credits + 1").await;
    let repaired = Ledger::new(store.clone()).repair_totals(&Actor::COMMAND, DAYS).await.unwrap();
    assert_eq!(repaired.subjects, u64::try_from(SUBJECTS).unwrap());
    assert_eq!(number(&store, "SELECT count(*) FROM audit_log WHERE action = 'totals.repair'").await, 3);
    assert_eq!(differences(&store).await, []);
}
