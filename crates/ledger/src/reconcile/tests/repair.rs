//! Each kind of difference: written to the store, reported, corrected, and no longer reported.

use access::{Credits, NanoUsd, Plan, Tokens};
use meter::Caller;

use super::*;
use crate::usage_fixture::{PLANS, number};
use store::{Actor, Email, NewKey, NewUser};

/// A statement that causes differences, their number, and one of them: a measure, and the surplus in the totals.
const PLANTED: [(&str, usize, &str, i128); 21] = [
    ("UPDATE daily_usage SET requests = requests + 1 WHERE {one}", 1, "requests", 1),
    ("UPDATE daily_usage SET output_tokens = output_tokens - 2 WHERE {one}", 1, "output_tokens", -2),
    ("UPDATE daily_usage SET cost_nano = cost_nano + 5000000007 WHERE {one}", 1, "cost_nano", 5_000_000_007),
    ("UPDATE daily_usage SET own_cost_nano = own_cost_nano + 7 WHERE {one}", 1, "own_cost_nano", 7),
    ("UPDATE daily_models SET own_cost_nano = own_cost_nano + 8 WHERE day = {day} AND user_no = 2 AND model_no = 0", 1,
        "own_cost_nano", 8),
    ("UPDATE daily_plans SET own_charged_nano = own_charged_nano + 3 WHERE {plan}", 1, "own_charged_nano", 6),
    ("UPDATE daily_usage SET unpriced_requests = 0 WHERE day = {day} AND key_no = 1", 1, "unpriced_requests", -6),
    // A difference of a budget's amount appears for the key, and in the sum over plans.
    ("UPDATE daily_usage SET charged_nano = charged_nano - 1 WHERE {one}", 1, "charged_nano", -1),
    ("DELETE FROM daily_usage WHERE day = {day} AND key_no = 1", 12, "requests", -42),
    ("UPDATE daily_models SET errors = errors + 9 WHERE day = {day} AND user_no = 2 AND model_no = 0", 1, "errors", 9),
    ("DELETE FROM daily_models WHERE day = {day} AND user_no = 2 AND model_no = 0", 5, "requests", 0),
    ("UPDATE daily_plans SET charged_tokens = charged_tokens - 3 WHERE {plan}", 1, "charged_tokens", -6),
    ("UPDATE daily_plans SET credits = credits + 4 WHERE {plan}", 1, "credits", 8),
    ("DELETE FROM daily_plans WHERE {plan}", 3, "charged_tokens", 0),
    ("UPDATE usage_counts SET requests = requests + 5 WHERE minute = (SELECT min(minute) FROM usage_counts WHERE day = {day})
        AND day = {day} AND key_no = 1", 7, "requests", -5),
    ("UPDATE hourly_usage SET duration_us = duration_us + 6 WHERE day = {day} AND key_no = 1 AND duration_us = 2000
        AND model_no = -1", 1,
        "duration_us", 6),
    ("DELETE FROM hourly_usage WHERE day = {day} AND user_no = 2 AND model_no = 0", 6, "requests", 0),
    ("UPDATE daily_routes SET errors = errors - 1 WHERE day = {day} AND user_no = 3 AND refused > 0", 1, "errors", -1),
    ("UPDATE daily_labels SET output_tokens = output_tokens + 9 WHERE day = {day} AND user_no = 2 AND model_no = 0", 1,
        "output_tokens", 9),
    ("UPDATE daily_labels SET own_cost_nano = own_cost_nano + 9 WHERE day = {day} AND user_no = 2 AND model_no = 0", 1,
        "own_cost_nano", 9),
    ("DELETE FROM daily_routes WHERE day = {day} AND user_no = 3", 18, "requests", 0),
];

#[tokio::test]
async fn each_difference_is_reported_repaired_and_gone() {
    for database in Database::both().await {
        let store = database.open().await;
        lived(&database, &store).await;
        for (nth, (planted, count, measure, too_high)) in PLANTED.into_iter().enumerate() {
            // One of the rows of two nodes.
            let day = DAYS.first.0 + 1;
            let one = format!("id = (SELECT min(CAST(id AS TEXT)) FROM daily_usage WHERE day = {day} AND key_no = 1)");
            let one = match store.kind() {
                StoreKind::Sqlite => one.replace("min(CAST(id AS TEXT))", "min(id)"),
                StoreKind::Postgres => one.replace("id = (", "CAST(id AS TEXT) = ("),
            };
            let plan = format!("day = {day} AND plan_id = {}", id_text(&store, PLANS[1].0));
            let sql = planted.replace("{one}", &one).replace("{plan}", &plan).replace("{day}", &day.to_string());
            tell(&store, &sql).await;
            let told = differences(&store).await;
            assert_eq!(told.len(), count, "{sql}: {told:?}");
            let of_measure = told.iter().find(|difference| difference.measure == measure);
            let of_measure = of_measure.unwrap_or_else(|| panic!("{sql}: {told:?}"));
            let apart = of_measure.found.1 - of_measure.expected.1;
            assert!(too_high == 0 && apart < 0 || apart == too_high, "{sql}: {of_measure:?}");
            let repaired = Ledger::new(store.clone()).repair_totals(&Actor::COMMAND, DAYS).await.unwrap();
            assert!(repaired.is_any(), "{sql}");
            assert_eq!(differences(&store).await, [], "{sql}");
            let lines = number(&store, "SELECT count(*) FROM audit_log WHERE action = 'totals.repair'").await;
            assert_eq!(lines, i64::try_from(nth).unwrap() + 1, "{sql}");
        }
        let again = Ledger::new(store.clone()).repair_totals(&Actor::COMMAND, DAYS).await.unwrap();
        assert_eq!(again, RepairedTotals::default());
    }
}

#[tokio::test]
async fn a_repair_raises_the_version_of_an_earlier_day() {
    for database in Database::both().await {
        let store = database.open().await;
        lived(&database, &store).await;
        let ledger = Ledger::new(store.clone());
        let versions = async || {
            let mut versions = Vec::new();
            for day in DAYS.first.0..=DAYS.last.0 {
                versions.push(ledger.figures_version(Day(day)).await.unwrap());
            }
            versions
        };
        let before = versions().await;
        let rows = format!("user_no = 3 AND day IN ({}, {})", DAYS.first.0 + 1, TODAY.0);
        tell(&store, &format!("UPDATE daily_routes SET errors = errors + 1 WHERE {rows}")).await;
        // The second time, there is nothing to repair.
        for is_any in [true, false] {
            let repaired = ledger.repair_totals(&Actor::COMMAND, DAYS).await.unwrap();
            assert_eq!(repaired.is_any(), is_any);
            assert_eq!(versions().await, [before[0], before[1] + 1, before[2], 0]);
        }
    }
}

/// Undoes the migrations from the newest to `version`.
async fn undo_from(database: &Database, version: i64) {
    let options = database.options(true);
    while let Some(newest) = store::opening::migration::undo(&options).await.unwrap()
        && newest.version >= version
    {
        assert!(store::opening::migration::down(&options, newest.version).await.unwrap());
    }
}

/// Totals of requests that an older version stored are added up when the tables are created.
#[tokio::test]
async fn totals_for_series_are_added_up_from_stored_requests() {
    for database in Database::both().await {
        let store = database.open().await;
        lived(&database, &store).await;
        let rows = async |store: &Store| {
            let rows = "SELECT (SELECT count(*) FROM hourly_usage) * 1000 + (SELECT count(*) FROM daily_routes)";
            number(store, rows).await
        };
        let written = rows(&store).await;
        store.close().await;
        undo_from(&database, 16).await;
        let store = database.open().await;
        assert_eq!((rows(&store).await, differences(&store).await), (written, vec![]));
    }
}

/// The own costs of requests that an older version stored are added up when their column is created.
#[tokio::test]
async fn own_costs_of_labels_are_added_up_from_stored_requests() {
    for database in Database::both().await {
        let store = database.open().await;
        lived(&database, &store).await;
        tell(&store, "UPDATE usage_events SET own_cost_nano = cost_nano WHERE cost_nano > 0").await;
        Ledger::new(store.clone()).repair_totals(&Actor::COMMAND, DAYS).await.unwrap();
        let own = "SELECT CAST(coalesce(sum(own_cost_nano), 0) AS BIGINT) FROM daily_labels";
        let written = number(&store, own).await;
        assert!(written > 0);
        store.close().await;
        undo_from(&database, 36).await;
        let store = database.open().await;
        assert_eq!((number(&store, own).await, differences(&store).await), (written, vec![]));
    }
}

#[tokio::test]
async fn a_total_that_stays_wrong_is_an_error() {
    let database = Database::sqlite();
    let store = database.open().await;
    lived(&database, &store).await;
    let back = "UPDATE daily_usage SET requests = OLD.requests WHERE id = OLD.id";
    tell(&store, "UPDATE daily_usage SET requests = requests + 1").await;
    tell(&store, &format!("CREATE TRIGGER stuck AFTER UPDATE OF credits ON daily_usage BEGIN {back}; END")).await;
    let stuck = Ledger::new(store.clone()).repair_totals(&Actor::COMMAND, DAYS).await;
    assert!(matches!(stuck, Err(RepairError::Unrepaired { day }) if day == DAYS.first), "{stuck:?}");
}

#[tokio::test]
async fn a_missing_event_is_reported_with_who_and_what_and_budgets_follow_its_repair() {
    for database in Database::both().await {
        let store = database.open().await;
        store.ensure_plans(&[Plan::unlimited("starter")]).await.unwrap();
        let new = NewUser::member(Email::parse("ada@example.com").unwrap(), "Ada", "starter");
        let ada = store.create_user(&Actor::COMMAND, new).await.unwrap();
        let secret = access::ApiKey::generate("tollgate").unwrap();
        let key = store.create_key(&Actor::COMMAND, NewKey::unbounded(ada.id, "laptop", &secret)).await.unwrap();
        let mut node = IngestNode::join(&store, database.folder.path()).await;
        let mut made = UsageFixture::starting_on(TODAY);
        let of = Caller { user: ada.no, key: key.no, plan: PLANS[0] };
        let events = [(); 3].map(|()| Record::Event(made.event(Some(of), vec![attempt(2)])));
        node.write(&events).await;
        let Record::Event(gone) = &events[1] else { panic!() };
        tell(&store, &format!("DELETE FROM usage_events WHERE id = {}", id_text(&store, gone.id.0))).await;

        let told = differences(&store).await;
        let place = DifferencePlace::Key { day: TODAY, user: (ada.no, Some(ada.id.0)), key: (key.no, Some(key.id.0)) };
        let requests = Difference { place, measure: "requests", expected: ("events", 2), found: ("totals", 3) };
        assert!(told.contains(&requests), "{told:?}");
        assert!(
            told.iter()
                .any(|of| matches!(&of.place, DifferencePlace::Model { model: Some(name), .. } if name == "fast"))
        );
        assert!(
            told.iter()
                .any(|of| matches!(&of.place, DifferencePlace::Hour { at, route: Some(_), .. } if at.day() == TODAY))
        );
        assert!(told.iter().any(|of| matches!(of.place, DifferencePlace::Route { route: Some(_), .. })));
        assert!(told.iter().any(|of| matches!(of.place, DifferencePlace::Plan { plan, .. } if plan == PLANS[0])));
        let period = meter::Period::containing(access::LimitPeriod::Day, TODAY);
        let spent = async || store.charge_of(access::BudgetScope::User(ada.no), period).await.unwrap();
        let charge = |events: u64| Charge {
            credits: Credits(3 * events),
            tokens: Tokens(700 * events),
            ..Charge::money(NanoUsd(1_234_567_890 * events.cast_signed()))
        };
        assert_eq!(spent().await, charge(3));
        Ledger::new(store.clone()).repair_totals(&Actor::COMMAND, DAYS).await.unwrap();
        assert_eq!((differences(&store).await, spent().await), (vec![], charge(2)));
        assert_eq!(store.charge_of(access::BudgetScope::Plan(PLANS[0]), period).await.unwrap(), charge(2));
    }
}

#[tokio::test]
async fn repairs_beside_ingest_lose_nothing() {
    for database in Database::both().await {
        let store = database.open().await;
        people(&store).await;
        let mut node = IngestNode::join(&store, database.folder.path()).await;
        let mut made = UsageFixture::starting_on(TODAY);
        let records = made.all(caller(1, 1));
        node.write(&records).await;
        let ingesting = async {
            for _ in 0..30 {
                let records = made.all(caller(1, 1));
                node.write(&records).await;
                tokio::task::yield_now().await;
            }
        };
        // All differences have distinct amounts: a difference that remains after its correction would be an error.
        let repairing = async |unit: i64| {
            let mut repaired = 0;
            for amount in (1..=10).map(|nth| nth * unit) {
                let plant = format!("requests = requests + {amount}, charged_tokens = charged_tokens - {amount}");
                tell(&store, &format!("UPDATE daily_usage SET {plant} WHERE day = {}", TODAY.0)).await;
                repaired += Ledger::new(store.clone()).repair_totals(&Actor::COMMAND, DAYS).await.unwrap().keys;
            }
            repaired
        };
        // Two concurrent corrections correct each difference once.
        let ((), one, other) = tokio::join!(ingesting, repairing(1), repairing(100));
        assert!(one + other >= 10, "{one} {other}");
        Ledger::new(store.clone()).repair_totals(&Actor::COMMAND, DAYS).await.unwrap();
        assert_eq!(differences(&store).await, []);
        let requests = number(&store, "SELECT CAST(sum(requests) AS BIGINT) FROM daily_usage").await;
        // Seven requests in rows, and two lots of seven in counts.
        assert_eq!(requests, 31 * (7 + 14));
    }
}
