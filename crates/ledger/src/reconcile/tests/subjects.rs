//! Charges of subjects without a user.

use access::{Subject, SubjectText};

use super::*;

fn ada() -> Subject {
    Subject::Basic { issuer: SubjectText::parse("ops").unwrap(), name: SubjectText::parse("ada").unwrap() }
}

/// Stores charges of events and of counts, on two days.
async fn charged(database: &Database, store: &Store) {
    let mut node = IngestNode::of(store, database.folder.path()).await;
    for day in [Day(TODAY.0 - 1), TODAY] {
        let mut made = UsageFixture::on(day);
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
        let subject = SubjectId::of(&ada()).unwrap();
        let difference = |measure, found: i128, expected: i128| Difference {
            place: Place::Subject { day: TODAY, subject },
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
        let mut node = IngestNode::of(&store, database.folder.path()).await;
        let event = UsageFixture::on(Day(TODAY.0 - 40)).event(None, vec![attempt(1)]);
        node.write(&[Record::Event(UsageEvent { day: TODAY, subject: ada(), ..event })]).await;
        assert_eq!(differences(&store).await, []);
    }
}
