use access::{
    ApiKey, KeyBounds, MasterKey, Measure, NanoUsd, Per, Plan, PlanId, RequestId, Secret, TicketHash, Timestamp,
    UserId, Vault,
};
use meter::{Attempt, Caller, Counts, Source, Usage, UsageEvent};
use spool::{Record, Spool};

use super::*;
use crate::dialect::catalogue;
use crate::fixture;
use crate::store::tests::Place;
use crate::{
    Actor, BudgetHolder, By, Credential, Email, IngestStats, NewKey, NewLink, NewProviderKey, NewSession, NewUser,
    Purpose,
};

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

/// Opens a store with every kind of row.
pub(crate) async fn filled(place: &Place) -> Store {
    let store = place.open().await;
    let plan = Plan { credits_per_day: Some(9), ..Plan::unlimited("pro") };
    store.ensure_plans(&[plan]).await.unwrap();
    let email = Email::parse("ada@example.com").unwrap();
    let user = store
        .create_user(&crate::audit::Actor::COMMAND, NewUser { demo: true, ..NewUser::member(email, "Ada", "pro") })
        .await
        .unwrap();
    let key = store.create_key(&crate::audit::Actor::COMMAND, key(user.id)).await.unwrap();
    accounts(&store, user.id).await;
    let everybodys = (Measure::Money, Per::Month, Some(7));
    store.set_budget(&Actor::COMMAND, &BudgetHolder::Global, everybodys).await.unwrap();
    let caller = Some(Caller { user: user.no, key: key.no, plan: PlanId::NIL });
    let node = place.join(&store).await;
    let options = spool::SpoolOptions::new(16 << 20, 1);
    let folder = place.folder.path().join("spool");
    let Spool { mut writers, mut reader, .. } = Spool::open(&folder, options, &node.ingested().await.unwrap()).unwrap();
    for n in 0..3_000 {
        let event = event(&store, caller, if n == 0 { 2 } else { 1 });
        writers[0].append(&Record::Event(event)).unwrap();
    }
    let counts = Counts {
        caller,
        route: "users".into(),
        status_class: 2,
        minute: 30_000_000,
        day: NOW.day(),
        requests: 7,
        credits: 7,
    };
    writers[0].append(&Record::Counts { id: store.new_id(), counts: vec![counts] }).unwrap();
    crate::ingest::drain(&node, &mut reader, &IngestStats::default()).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    let open = "INSERT INTO open_requests (id, node_id, opened, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)";
    transaction.query(open).bind(store.new_id()).bind(node.id()).bind("{}").bind(7_i64).run().await.unwrap();
    transaction.commit().await.unwrap();
    store.lend(&crate::lease_server::tests::tick(&node), std::time::Duration::from_secs(2), Some(NOW)).await.unwrap();
    store
}

/// Adds a session, a link and a sealed credential.
async fn accounts(store: &Store, user: UserId) {
    let by = Actor { by: By::User { user, session: None }, address: "2001:db8::1".parse().ok() };
    let secret = ApiKey::generate("tollgate").unwrap();
    let key = store.create_key(&by, NewKey::of(user, "script", &secret)).await.unwrap();
    let (hash, expires_at) = (TicketHash([7; 32]), Timestamp(NOW.0 + 1_000_000));
    let session = NewSession {
        user,
        credential: Credential::Key { key: key.id, secret: secret.hash() },
        address: by.address,
        agent: Some("größe/1".to_owned()),
        refresh: hash,
        expires_at,
    };
    store.begin_session(&by, session).await.unwrap();
    let email = Some(Email::parse("grace@example.com").unwrap());
    let purpose = Purpose::Invite { email, plan: Some("pro".to_owned()) };
    store.make_link(&by, NewLink { purpose, hash, expires_at }).await.unwrap();
    let vault = Vault::new(&MasterKey::parse(&format!("{}A", "B".repeat(42))).unwrap(), None);
    store.admit_master_key(&by, &vault).await.unwrap();
    let (provider, label, secret) = ("openai".to_owned(), "work".to_owned(), Secret::new("sk-live-1234".to_owned()));
    let new = NewProviderKey { owner: Some(user), provider, label, secret };
    store.create_provider_key(&by, &vault, new).await.unwrap();
}

/// Describes a new key with all bounds.
pub(crate) fn key(user: UserId) -> NewKey {
    let key = ApiKey::generate("tollgate").unwrap();
    let bounds = KeyBounds {
        credits_per_day: Some(5),
        models: Some(vec!["größe/*".into()]),
        addresses: Some(vec!["203.0.113.0/24".parse().unwrap()]),
        ..KeyBounds::default()
    };
    NewKey { expires_at: Some(NOW), bounds, ..NewKey::of(user, "läptop", &key) }
}

fn event(store: &Store, caller: Option<Caller>, attempts: usize) -> UsageEvent {
    let usage = Usage { input: Some(3), output: Some(0), ..Usage::empty(Source::Reported) };
    let attempt = Attempt {
        provider: "openai".into(),
        model: Some("gpt".into()),
        answered_model: None,
        status: Some(200),
        upstream_id: Some("req_1".into()),
        raw_usage: Some("{\"größe\":1}".into()),
        usage: Some(usage),
        cost: Some(NanoUsd(46)),
        unknown: None,
        price_version: Some("v1".into()),
        first_byte_us: None,
        duration_us: 48,
    };
    let event = fixture::event(RequestId(store.new_id()), caller, NOW);
    UsageEvent { attempts: vec![attempt; attempts], ..event }
}

#[tokio::test]
async fn every_table_is_copied() {
    for place in Place::both().await {
        let store = place.open().await;
        let all: Vec<(String, String, String, bool)> = store.query(catalogue(store.kind())).all().await.unwrap();
        let mut tables: Vec<&str> = all.iter().map(|(table, ..)| table.as_str()).collect();
        tables.dedup();
        let mut known = TABLES.to_vec();
        known.extend([REVISION, "schema_floor"]);
        known.sort_unstable();
        assert_eq!(tables, known);
    }
}

#[tokio::test]
async fn both_databases_hold_the_same_in_every_column() {
    let [sqlite, postgres] = Place::both().await;
    let (sqlite, postgres) = (sqlite.open().await, postgres.open().await);
    let (mut sqlite, mut postgres) = (sqlite.begin().await.unwrap(), postgres.begin().await.unwrap());
    for table in TABLES {
        let of = async |on: &mut Transaction| -> Vec<CopiedColumn> {
            columns(on, table).await.unwrap().into_iter().map(CopiedColumn::from).collect()
        };
        assert_eq!(of(&mut sqlite).await, of(&mut postgres).await, "{table}");
    }
}

#[tokio::test]
async fn a_copy_says_the_same_on_either_database_and_back() {
    let [sqlite, postgres] = Place::both().await;
    let (first, back) = (filled(&sqlite).await, Place::sqlite());
    let (second, third) = (postgres.open().await, back.open().await);
    let mut told = Vec::new();
    let there = copy(&first, &second, |progress| told.push(progress)).await.unwrap();
    let again = copy(&second, &third, |_| ()).await.unwrap();
    assert_eq!(there, again);
    assert!(there.iter().all(|table| table.rows > 0), "{there:?}");
    assert!(told.iter().all(|progress| progress.rows <= progress.of));
    let tokens = |copied: &[CopiedTable]| {
        let days = copied.iter().find(|table| table.table == "daily_usage").unwrap();
        days.sums.iter().find(|(name, _)| name == "input_tokens").unwrap().1
    };
    assert!(tokens(&there) > 0);
    assert!(third.revision().await.unwrap() > first.revision().await.unwrap());
}

#[tokio::test]
async fn what_is_not_empty_takes_no_copy() {
    for place in Place::both().await {
        let (one, other) = (Place::sqlite(), place);
        let (source, target) = (filled(&one).await, filled(&other).await);
        let refused = copy(&source, &target, |_| ()).await.unwrap_err();
        assert!(matches!(refused, StoreError::NotEmpty { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_copy_that_fails_leaves_nothing() {
    let [sqlite, postgres] = Place::both().await;
    let (source, target) = (filled(&sqlite).await, postgres.open().await);
    target.tell("ALTER TABLE ingested ADD CONSTRAINT refused CHECK (lane < 0)").await;
    copy(&source, &target, |_| ()).await.unwrap_err();
    let mut on = target.begin().await.unwrap();
    for table in TABLES {
        assert_eq!(count(&mut on, table).await.unwrap(), 0, "{table}");
    }
}

#[tokio::test]
async fn rows_that_were_not_read_are_missed() {
    let (one, other) = (Place::sqlite(), Place::sqlite());
    let (source, target) = (filled(&one).await, other.open().await);
    // An id before the first possible one.
    source.tell("UPDATE names SET id = x'00' WHERE no = 1").await;
    let refused = copy(&source, &target, |_| ()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Differs { table: "names" }), "{refused:?}");
}

#[tokio::test]
async fn a_page_that_cannot_be_gone_on_from_is_an_error() {
    let (one, other) = (Place::sqlite(), Place::sqlite());
    let (source, target) = (filled(&one).await, other.open().await);
    source.tell("UPDATE usage_events SET id = x'ff' WHERE id = (SELECT max(id) FROM usage_events)").await;
    let refused = copy(&source, &target, |_| ()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unreadable { table: "usage_events", column: "id" }), "{refused:?}");
}

#[tokio::test]
async fn a_store_with_more_than_this_binary_knows_is_not_copied() {
    for place in Place::both().await {
        let (source, other) = (filled(&place).await, Place::sqlite());
        source.tell("UPDATE _sqlx_migrations SET version = 9000 WHERE version = 1").await;
        let target = other.open().await;
        for (from, to) in [(&source, &target), (&target, &source)] {
            let refused = copy(from, to, |_| ()).await.unwrap_err();
            assert!(matches!(refused, StoreError::Newer { found: 9000, .. }), "{refused:?}");
        }
    }
}
