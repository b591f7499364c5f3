mod pages;
mod repair;
mod subjects;
mod unsent;

use access::{Credits, NanoUsd, Tokens};
use meter::{Attempt, Charge, UsageEvent};
use spool::Record;
use store::Store;
use store::sql::StoreKind;

use super::*;
use crate::fixture::{Place as Database, tell};
use crate::handle::Ledger;
use crate::retention::{RetentionStats, RetentionTimes, Rounds};
use crate::usage_fixture::{IngestNode, TODAY, UsageFixture, attempt, caller, id_text, people};

const DAYS: Days = Days { first: Day(TODAY.0 - 3), last: TODAY };
/// Stores three days of four callers through two nodes.
pub(super) async fn lived(database: &Database, store: &Store) {
    people(store).await;
    let mut nodes = [
        IngestNode::join(store, &database.folder.path().join("a")).await,
        IngestNode::join(store, &database.folder.path().join("b")).await,
    ];
    for day in DAYS.first.0..TODAY.0 {
        let mut made = UsageFixture::starting_on(Day(day));
        for (user, key) in [(1, 1), (1, 2), (2, 3), (3, 4)] {
            for node in &mut nodes {
                let records = made.all(caller(user, key));
                node.write(&records).await;
            }
        }
    }
}

pub(super) async fn differences(store: &Store) -> Vec<Difference> {
    Ledger::new(store.clone()).reconcile(DAYS).await.unwrap().differences
}

#[tokio::test]
async fn whatever_ingest_writes_adds_up() {
    for database in Database::both().await {
        let store = database.open().await;
        assert_eq!(Ledger::new(store.clone()).reconcile(DAYS).await.unwrap().differences, []);
        lived(&database, &store).await;
        let found = Ledger::new(store.clone()).reconcile(DAYS).await.unwrap();
        assert_eq!((found.compared, found.differences, found.more), (Some(DAYS), vec![], false));
        // Each of the 24 lots has one interrupted request.
        let reserved =
            Charge { credits: Credits(3 * 24), tokens: Tokens(700 * 24), ..Charge::money(NanoUsd(1_234_567_890 * 24)) };
        assert_eq!(found.interrupted, InterruptedRequests { requests: 24, reserved });
        // Each lot also has two without a known cost; a part of one cost is known.
        let unpriced = |reason: &str, requests: u64, cost| {
            let charged = NanoUsd(1_234_567_890 * requests.cast_signed());
            UnpricedRequests { reason: reason.to_owned(), requests, charged, cost }
        };
        let half = NanoUsd(900_000_000 * 24);
        assert_eq!(found.unpriced, [unpriced("interrupted", 24, NanoUsd(0)), unpriced("no_usage", 48, half)]);
        assert_eq!((found.open.requests, found.unleased), (0, vec![]));
    }
}

#[tokio::test]
async fn an_event_of_a_clock_that_jumped_is_found_all_the_same() {
    for database in Database::both().await {
        let store = database.open().await;
        let mut node = IngestNode::join(&store, database.folder.path()).await;
        let mut made = UsageFixture::starting_on(Day(TODAY.0 - 40));
        let event = made.event(Some(caller(1, 1)), vec![attempt(1)]);
        node.write(&[Record::Event(UsageEvent { day: TODAY, ..event })]).await;
        assert_eq!(differences(&store).await, []);
    }
}

#[tokio::test]
async fn amounts_that_fill_their_integers_agree() {
    for database in Database::both().await {
        let store = database.open().await;
        let mut node = IngestNode::join(&store, database.folder.path()).await;
        let mut made = UsageFixture::starting_on(TODAY);
        let most = i64::MAX.unsigned_abs();
        let expensive = Attempt { cost: Some(NanoUsd(i64::MAX)), ..attempt(1) };
        for key in [1, 1, 2] {
            let event = made.event(Some(caller(1, key)), vec![expensive.clone()]);
            let charge = Charge { credits: Credits(most / 4), tokens: Tokens(most / 4), ..Charge::money(NanoUsd::MAX) };
            node.write(&[Record::Event(UsageEvent { charge, ..event })]).await;
        }
        assert_eq!(differences(&store).await, []);
    }
}

#[tokio::test]
async fn days_whose_events_were_deleted_by_age_are_not_compared() {
    for database in Database::both().await {
        let store = database.open().await;
        lived(&database, &store).await;
        let mut rounds = Rounds::begin(&store).await.unwrap();
        // The first day ended two days before.
        let keep = RetentionTimes { events: Some(Duration::from_hours(48)), raw_usage: None };
        assert!(rounds.next(&store, keep, &RetentionStats::default()).await.unwrap() > 0);
        let found = Ledger::new(store.clone()).reconcile(DAYS).await.unwrap();
        assert_eq!((found.compared, found.differences), (Some(Days { first: TODAY, last: TODAY }), vec![]));
        assert_eq!(Ledger::new(store.clone()).usage_kept_from().await.unwrap(), TODAY);
        let before = Days { first: DAYS.first, last: Day(TODAY.0 - 1) };
        assert_eq!(Ledger::new(store.clone()).reconcile(before).await.unwrap().compared, None);
        // Days without complete events are not corrected either.
        assert_eq!(
            Ledger::new(store.clone()).repair_totals(&store::Actor::COMMAND, before).await.unwrap(),
            RepairedTotals::default()
        );
        // A day that is compared is compared completely.
        tell(&store, &format!("UPDATE daily_usage SET requests = requests + 1 WHERE day = {}", TODAY.0)).await;
        assert_eq!(Ledger::new(store.clone()).reconcile(DAYS).await.unwrap().differences.len(), 4);
    }
}

#[tokio::test]
async fn so_many_differences_are_told_and_no_more() {
    for database in Database::both().await {
        let store = database.open().await;
        let id = if store.kind() == StoreKind::Sqlite { "randomblob(16)" } else { "gen_random_uuid()" };
        tell(&store, &format!(
                "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {})
                INSERT INTO daily_models (id, user_no, model_no, day, requests, refused, errors, credits, input_tokens,
                    cached_input_tokens, cache_write_short_tokens, cache_write_long_tokens, output_tokens, reasoning_tokens,
                    cost_nano, unpriced_requests, duration_us, created_at, updated_at)
                SELECT {id}, n, 0, {}, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1 FROM n",
                DIFFERENCES_MAX + 10,
                TODAY.0
            ))
            .await;
        let found = Ledger::new(store.clone()).reconcile(DAYS).await.unwrap();
        assert_eq!((found.differences.len(), found.more), (DIFFERENCES_MAX, true));
        let repaired = Ledger::new(store.clone()).repair_totals(&store::Actor::COMMAND, DAYS).await.unwrap();
        assert_eq!(repaired, RepairedTotals { models: 1_010, ..RepairedTotals::default() });
        assert_eq!(differences(&store).await, []);
    }
}

#[tokio::test]
async fn the_newest_day_is_that_of_a_node_whose_clock_was_ahead() {
    for database in Database::both().await {
        let store = database.open().await;
        let ledger = Ledger::new(store.clone());
        assert_eq!(ledger.newest_day().await.unwrap(), None);
        lived(&database, &store).await;
        // The fixture of each day has a request that was admitted on the next one.
        assert_eq!(ledger.newest_day().await.unwrap(), Some(TODAY));
        let mut node = IngestNode::join(&store, &database.folder.path().join("ahead")).await;
        let records = UsageFixture::starting_on(Day(TODAY.0 + 5)).all(caller(1, 1));
        node.write(&records).await;
        assert_eq!(ledger.newest_day().await.unwrap(), Some(Day(TODAY.0 + 6)));
    }
}

#[tokio::test]
async fn a_server_at_work_is_no_difference() {
    for database in Database::both().await {
        let store = database.open().await;
        let mut node = IngestNode::join(&store, database.folder.path()).await;
        let mut made = UsageFixture::starting_on(TODAY);
        let ingesting = async {
            for _ in 0..40 {
                let records = made.all(caller(1, 1));
                node.write(&records).await;
                tokio::task::yield_now().await;
            }
        };
        let looking = async {
            let mut seen = 0;
            for _ in 0..40 {
                let found = Ledger::new(store.clone()).reconcile(DAYS).await.unwrap();
                assert_eq!(found.differences, []);
                seen = found.interrupted.requests;
            }
            seen
        };
        let ((), seen) = tokio::join!(ingesting, looking);
        assert!(seen > 1, "ingest went on meanwhile");
    }
}

#[tokio::test]
async fn what_providers_answered_is_told_by_day_and_model() {
    for database in Database::both().await {
        let store = database.open().await;
        lived(&database, &store).await;
        let recorded = Ledger::new(store.clone()).recorded(Days { first: DAYS.first, last: DAYS.first }).await.unwrap();
        // Eight lots; the events of each have 1; 10 and one unreported; one unreported; 100 and 1,000; 7; and, without
        // a caller, 3.
        let tokens = 8 * (1 + 10 + 100 + 1_000 + 7 + 3);
        let expected = RecordedUsage {
            day: DAYS.first,
            provider: "up".to_owned(),
            model: "fast-1-2026".to_owned(),
            requests: 8 * 8,
            unreported: 8 * 2,
            input: 3 * tokens + 8 * 6 * (3 + 4 + 7),
            cached_input: 2 * tokens,
            cache_write_short: 8 * 6 * 3,
            cache_write_long: 8 * 6 * 4,
            output: 5 * tokens + 8 * 6 * (6 + 8),
            cost: NanoUsd(8 * 6 * 900_000_000),
        };
        assert_eq!(recorded, [expected]);
        assert_eq!(Ledger::new(store.clone()).recorded(Days { first: TODAY, last: TODAY }).await.unwrap(), []);
    }
}

#[tokio::test]
async fn windows_are_added_up_again_from_the_events_that_name_them() {
    for database in Database::both().await {
        let store = database.open().await;
        let mut node = IngestNode::join(&store, database.folder.path()).await;
        let mut made = UsageFixture::starting_on(TODAY);
        let window = |per: &str, hours: u32| {
            let begin = TODAY.0 * 1_440 + 60;
            let per = access::LimitPeriod::parse(per).unwrap();
            meter::Period::between(per, access::Minute(begin), access::Minute(begin + hours * 60))
        };
        let [session, week] = [window("5h/first_use", 5), window("week/Asia/Jakarta", 168)];
        for key in [1, 2] {
            let event = made.event(Some(caller(1, key)), vec![attempt(1)]);
            node.write(&[Record::Event(UsageEvent { windows: vec![session, week], ..event })]).await;
        }
        assert_eq!(differences(&store).await, []);
        tell(&store, "UPDATE window_usage SET credits = credits + 1").await;
        // The week ends after the compared days.
        let [found] = <[Difference; 1]>::try_from(differences(&store).await).unwrap();
        let DifferencePlace::Window(cell) = found.place else { panic!("{found:?}") };
        assert_eq!((cell.period, found.measure), (session, "credits"));
        assert_eq!(found.found.1, found.expected.1 + 1);
    }
}
