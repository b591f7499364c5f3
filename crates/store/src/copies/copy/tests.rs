use access::{
    Amount, ApiKey, Credits, KeyBounds, KeyNo, LimitPeriod, MasterKey, Measure, Plan, Secret, TicketHash, Timestamp,
    UserId, UserNo, Vault,
};
use uuid::Uuid;

use super::cell::ColumnType;
use super::*;
use crate::fixture::{Place, catalogue, tell};
use crate::sql::Arguments;
use crate::{
    Actor, ActorKind, BudgetHolder, Email, NewKey, NewLink, NewProviderKey, NewSession, NewUser, Node, Purpose,
    RepeatableRequest, SessionCredential,
};

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

/// Opens a store with every kind of row.
pub(crate) async fn filled(place: &Place) -> Store {
    let store = place.open().await;
    let plan = Plan { credits_per_day: Some(Credits::whole(9)), ..Plan::unlimited("pro") };
    store.ensure_plans(&[plan]).await.unwrap();
    let email = Email::parse("ada@example.com").unwrap();
    let user = store
        .create_user(&crate::audit::Actor::COMMAND, NewUser { demo: true, ..NewUser::member(email, "Ada", "pro") })
        .await
        .unwrap();
    let request = RepeatableRequest::new(user.id, "create", b"a", b"{}");
    let key = store.create_key_once(&crate::audit::Actor::COMMAND, key(user.id), &request).await.unwrap();
    accounts(&store, user.id).await;
    store
        .set_budget(&Actor::COMMAND, &BudgetHolder::Global, Measure::Money, LimitPeriod::Month, Some(Amount(7)))
        .await
        .unwrap();
    let node = place.join(&store).await;
    usage(&store, &node, user.no, key.no).await;
    store
}

/// Writes rows of usage and leases, as `ledger` and `cluster` do.
async fn usage(store: &Store, node: &Node, user: UserNo, key: KeyNo) {
    let mut tx = store.begin().await.unwrap();
    let id = |id: Uuid| CopiedValue::Bytes(id.into_bytes().to_vec());
    let text = |text: &str| CopiedValue::Text(text.to_owned());
    let number = CopiedValue::Number;
    let node = ("node_id", id(node.id()));
    let user = ("user_no", number(user.0));
    let key = ("key_no", number(key.0));
    let day = ("day", number(i64::from(NOW.day().0)));
    let plan = ("plan_id", id(Uuid::nil()));
    insert(store, &mut tx, "names", &[("no", number(1)), ("kind", text("model"))]).await;
    insert(store, &mut tx, "subjects", &[("no", number(1)), ("kind", text("token"))]).await;
    for nth in 0..3_000 {
        let cost = if nth == 0 { CopiedValue::Null } else { number(46) };
        insert(store, &mut tx, "usage_events", &[user.clone(), key.clone(), day.clone(), ("cost_nano", cost)]).await;
    }
    for table in ["usage_attempts", "usage_raw", "lease_holders", "jobs", "label_sets", "label_members", "open_windows"]
    {
        insert(store, &mut tx, table, &[]).await;
    }
    let totals = [
        "daily_usage",
        "daily_plans",
        "daily_subjects",
        "window_usage",
        "daily_models",
        "hourly_usage",
        "daily_routes",
        "daily_labels",
    ];
    for table in ["usage_counts", "ingested", "open_requests"].into_iter().chain(totals) {
        let columns = [user.clone(), key.clone(), day.clone(), plan.clone(), node.clone()];
        insert(store, &mut tx, table, &columns).await;
    }
    let book = id(store.new_id());
    let words = [("scope", text("user")), ("measure", text("credits")), ("per", text("day"))];
    insert(
        store,
        &mut tx,
        "lease_books",
        &[("id", book.clone()), words[0].clone(), words[1].clone(), words[2].clone()],
    )
    .await;
    insert(store, &mut tx, "leases", &[("book_id", book), node]).await;
    insert(store, &mut tx, "configurations", &[("source", text("api"))]).await;
    insert(store, &mut tx, "cache_purges", &[]).await;
    books(store, &mut tx).await;
    days(store, &mut tx).await;
    tx.commit().await.unwrap();
}

/// Writes one row of each table of billing, as `ledger` does.
async fn books(store: &Store, tx: &mut Transaction) {
    let id = |id: Uuid| CopiedValue::Bytes(id.into_bytes().to_vec());
    let text = |text: &str| CopiedValue::Text(text.to_owned());
    let (user,): (Uuid,) = tx.query("SELECT id FROM users").one().await.unwrap();
    let (plan,): (Uuid,) = tx.query("SELECT id FROM plans").one().await.unwrap();
    let [version, subscription, invoice, payment] = [(); 4].map(|()| id(store.new_id()));
    let user = ("user_id", id(user));
    let currency = ("currency", text("IDR"));
    let of_version = ("plan_version_id", version.clone());
    let plan_version = [("id", version.clone()), ("plan_id", id(plan)), currency.clone(), ("term", text("month"))];
    insert(store, tx, "plan_versions", &plan_version).await;
    let state = ("state", text("active"));
    let next = ("next_plan_version_id", CopiedValue::Null);
    let row = [("id", subscription.clone()), user.clone(), of_version.clone(), state, next];
    insert(store, tx, "subscriptions", &row).await;
    let of_subscription = ("subscription_id", subscription);
    insert(store, tx, "subscription_days", &[of_subscription.clone(), of_version.clone()]).await;
    let row = [
        ("id", invoice.clone()),
        user.clone(),
        of_subscription,
        ("kind", text("period")),
        ("of_invoice_id", CopiedValue::Null),
        ("target_version_id", version),
        ("state", text("open")),
        currency.clone(),
    ];
    insert(store, tx, "invoices", &row).await;
    let of_invoice = ("invoice_id", invoice);
    insert(store, tx, "invoice_lines", &[of_invoice.clone(), ("kind", text("plan")), of_version]).await;
    for table in ["invoice_terms", "invoice_days"] {
        insert(store, tx, table, std::slice::from_ref(&of_invoice)).await;
    }
    insert(store, tx, "number_series", &[]).await;
    let row = [("id", payment.clone()), user.clone(), of_invoice.clone(), ("state", text("paid"))];
    insert(store, tx, "payments", &row).await;
    insert(store, tx, "payment_notifications", &[]).await;
    insert(store, tx, "wallets", &[user.clone(), currency.clone()]).await;
    let row = [user, currency, of_invoice, ("payment_id", payment), ("account", text("wallet"))];
    insert(store, tx, "postings", &row).await;
    let [user, _, of_invoice, payment, _] = row;
    let row = [user, of_invoice, payment, ("way", text("hand")), ("state", text("done"))];
    insert(store, tx, "refunds", &row).await;
    let [user, ..] = row;
    let language = ("language", text("id"));
    let row = [user, language, ("state", text("sent"))];
    insert(store, tx, "mails", &row).await;
    insert(store, tx, "billing_profiles", &row).await;
    let endpoint = id(store.new_id());
    insert(store, tx, "webhook_endpoints", &[("id", endpoint.clone())]).await;
    insert(store, tx, "webhook_deliveries", &[("endpoint_id", endpoint), ("state", text("failed"))]).await;
}

/// Writes one row of each table of insights.
async fn days(store: &Store, tx: &mut Transaction) {
    let (user,): (Uuid,) = tx.query("SELECT id FROM users").one().await.unwrap();
    let user = ("user_id", CopiedValue::Bytes(user.into_bytes().to_vec()));
    for table in ["day_versions", "grants", "insight_settings", "reviews", "signing_keys"] {
        insert(store, tx, table, std::slice::from_ref(&user)).await;
    }
}

/// Inserts a row with `given` in the columns of these names that the table has, and values of their types in the others.
async fn insert(store: &Store, tx: &mut Transaction, table: &str, given: &[(&str, CopiedValue)]) {
    let columns: Vec<CopiedColumn> = columns(tx, table).await.unwrap().into_iter().map(CopiedColumn::from).collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let mut text = format!("INSERT INTO {table} ({}) VALUES ", names.join(", "));
    tx.kind().placeholders(columns.len(), &mut text);
    let mut arguments = Arguments::with_room(tx.kind(), columns.len());
    for column in &columns {
        let value = match given.iter().find(|(name, _)| *name == column.name) {
            Some((_, value)) => value.clone(),
            None => match column.holds {
                ColumnType::Uuid => CopiedValue::Bytes(store.new_id().into_bytes().to_vec()),
                ColumnType::Number | ColumnType::Flag => CopiedValue::Number(1),
                ColumnType::Text => CopiedValue::Text("{\"größe\":1}".to_owned()),
                ColumnType::Bytes => CopiedValue::Bytes(vec![7; 32]),
            },
        };
        value.put(column, &mut arguments).unwrap();
    }
    tx.query(AssertSqlSafe(text)).with(arguments).run().await.unwrap();
}

/// Adds a session, a link and a sealed credential.
async fn accounts(store: &Store, user: UserId) {
    let by = Actor { by: ActorKind::User { user, session: None }, address: "2001:db8::1".parse().ok() };
    let secret = ApiKey::generate("tollgate").unwrap();
    let key = store.create_key(&by, NewKey::unbounded(user, "script", &secret)).await.unwrap();
    let hash = TicketHash([7; 32]);
    let expires_at = Timestamp(NOW.0 + 1_000_000);
    let session = NewSession {
        user,
        credential: SessionCredential::Key { key: key.id, secret: secret.hash() },
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
    let provider = "openai".to_owned();
    let label = "work".to_owned();
    let secret = Secret::new("sk-live-1234".to_owned());
    let new = NewProviderKey { owner: Some(user), provider, label, secret };
    store.create_provider_key(&by, &vault, new).await.unwrap();
}

/// Describes a new key with all bounds.
pub(crate) fn key(user: UserId) -> NewKey {
    let key = ApiKey::generate("tollgate").unwrap();
    let bounds = KeyBounds {
        credits_per_day: Some(Credits::whole(5)),
        models: Some(vec!["größe/*".into()]),
        addresses: Some(vec!["203.0.113.0/24".parse().unwrap()]),
        control: Some(access::ControlScope::Own),
        ..KeyBounds::default()
    };
    NewKey { expires_at: Some(NOW), bounds, ..NewKey::unbounded(user, "läptop", &key) }
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
async fn sqlite_and_postgres_hold_the_same_in_every_column() {
    let sqlite = Place::sqlite();
    let postgres = Place::postgres().await;
    let sqlite = sqlite.open().await;
    let postgres = postgres.open().await;
    let mut sqlite = sqlite.begin().await.unwrap();
    let mut postgres = postgres.begin().await.unwrap();
    for table in TABLES {
        let of = async |tx: &mut Transaction| -> Vec<CopiedColumn> {
            columns(tx, table).await.unwrap().into_iter().map(CopiedColumn::from).collect()
        };
        assert_eq!(of(&mut sqlite).await, of(&mut postgres).await, "{table}");
    }
}

#[tokio::test]
async fn a_copy_to_postgres_says_the_same_and_so_does_one_back() {
    let sqlite = Place::sqlite();
    let postgres = Place::postgres().await;
    let first = filled(&sqlite).await;
    let back = Place::sqlite();
    let second = postgres.open().await;
    let third = back.open().await;
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
        let one = Place::sqlite();
        let other = place;
        let source = filled(&one).await;
        let target = filled(&other).await;
        let refused = copy(&source, &target, |_| ()).await.unwrap_err();
        assert!(matches!(refused, CopyError::NotEmpty { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_copy_to_postgres_that_fails_leaves_nothing() {
    let sqlite = Place::sqlite();
    let postgres = Place::postgres().await;
    let source = filled(&sqlite).await;
    let target = postgres.open().await;
    tell(&target, "ALTER TABLE ingested ADD CONSTRAINT refused CHECK (lane < 0)").await;
    copy(&source, &target, |_| ()).await.unwrap_err();
    let mut tx = target.begin().await.unwrap();
    for table in TABLES {
        assert_eq!(count(&mut tx, table).await.unwrap(), 0, "{table}");
    }
}

#[tokio::test]
async fn rows_that_were_not_read_are_missed() {
    let one = Place::sqlite();
    let other = Place::sqlite();
    let source = filled(&one).await;
    let target = other.open().await;
    // An id before the first possible one.
    tell(&source, "UPDATE names SET id = x'00' WHERE no = 1").await;
    let refused = copy(&source, &target, |_| ()).await.unwrap_err();
    assert!(matches!(refused, CopyError::Differs { table: "names" }), "{refused:?}");
}

#[tokio::test]
async fn a_page_that_cannot_be_gone_on_from_is_an_error() {
    let one = Place::sqlite();
    let other = Place::sqlite();
    let source = filled(&one).await;
    let target = other.open().await;
    tell(&source, "UPDATE usage_events SET id = x'ff' WHERE id = (SELECT max(id) FROM usage_events)").await;
    let refused = copy(&source, &target, |_| ()).await.unwrap_err();
    assert!(
        matches!(refused, CopyError::Database(DatabaseError::Unreadable { table: "usage_events", column: "id" })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_store_with_more_than_this_binary_knows_is_not_copied() {
    for place in Place::both().await {
        let source = filled(&place).await;
        let other = Place::sqlite();
        tell(&source, "UPDATE _sqlx_migrations SET version = 9000 WHERE version = 1").await;
        let target = other.open().await;
        for (from, to) in [(&source, &target), (&target, &source)] {
            let refused = copy(from, to, |_| ()).await.unwrap_err();
            assert!(matches!(refused, CopyError::Newer(NewerDatabase { found: 9000, .. })), "{refused:?}");
        }
    }
}
