use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

use crate::dialect::{Db, StoreKind};
use crate::store::tests::Place;
use crate::{
    api_keys, audit, backup, budgets, copy, decrypted_credentials, dialect, identity, ingest, last_use, lease_server,
    leases, links, migration, node, plans, provider_keys, reconcile, retention, revision, sessions, subjects, usage,
    users, vault,
};

/// Returns every text that the crate sends, except migrations, settings, and statements on a backup's own table.
fn all(kind: StoreKind) -> Vec<String> {
    let lists = [
        api_keys::STATEMENTS,
        api_keys::bound::STATEMENTS,
        api_keys::change::STATEMENTS,
        api_keys::numbers::STATEMENTS,
        audit::STATEMENTS,
        audit::READING,
        backup::STATEMENTS,
        budgets::STATEMENTS,
        copy::STATEMENTS,
        ingest::STATEMENTS,
        ingest::CARRIED,
        ingest::NAMES,
        last_use::STATEMENTS,
        leases::STATEMENTS,
        lease_server::STATEMENTS,
        lease_server::stranded::STATEMENTS,
        lease_server::unreported::STATEMENTS,
        links::STATEMENTS,
        migration::STATEMENTS,
        node::STATEMENTS,
        plans::STATEMENTS,
        provider_keys::STATEMENTS,
        retention::STATEMENTS,
        retention::ACCOUNTS,
        revision::STATEMENTS,
        sessions::STATEMENTS,
        sessions::REFRESH,
        sessions::STATE,
        decrypted_credentials::STATEMENTS,
        usage::STATEMENTS,
        users::STATEMENTS,
        users::change::STATEMENTS,
        users::password::STATEMENTS,
        vault::STATEMENTS,
    ];
    let mut texts: Vec<String> = lists.into_iter().flatten().map(|(_, sql)| (*sql).to_owned()).collect();
    texts.extend(usage::parts().into_iter().map(|(_, sql)| sql.to_owned()));
    texts.extend_from_slice(identity::TEXTS.all(kind));
    texts.extend_from_slice(budgets::TEXTS.all(kind));
    texts.extend_from_slice(decrypted_credentials::TEXTS.all(kind));
    texts.extend_from_slice(subjects::KEYS.all(kind));
    texts.extend_from_slice(subjects::USERS.all(kind));
    texts.extend(ingest::texts(kind));
    texts.extend(lease_server::texts(kind));
    texts.extend(reconcile::texts());
    texts.extend(dialect::texts(kind));
    texts.extend((kind == StoreKind::Postgres).then(|| dialect::postgres::WRITING.to_owned()));
    texts
}

#[tokio::test]
async fn every_statement_prepares() {
    for place in Place::both().await {
        let store = place.open().await;
        let mut texts = all(store.kind());
        texts.extend(copy::texts(&mut store.begin().await.unwrap()).await);
        for sql in texts {
            let text = AssertSqlSafe(sql.clone()).into_sql_str();
            let prepared = match store.db() {
                Db::Sqlite { readers, .. } => readers.acquire().await.unwrap().prepare(text).await.map(|_| ()),
                Db::Postgres { pool, .. } => pool.acquire().await.unwrap().prepare(text).await.map(|_| ()),
            };
            assert!(prepared.is_ok(), "{sql}: {:?}", prepared.err());
        }
    }
}

fn text(list: &[(&str, &str)], name: &str) -> String {
    list.iter().find(|(of, _)| *of == name).unwrap().1.to_owned()
}

/// Queries that run often or on large tables, with the index as SQLite names it.
fn hot(kind: StoreKind) -> Vec<(String, &'static str)> {
    vec![
        (identity::TEXTS.all(kind)[0].clone(), "sqlite_autoindex_api_keys"),
        (text(usage::STATEMENTS, "OF_DAY"), "(day=? AND user_no=?)"),
        (text(&usage::parts(), "CHARGES_OF_KEY"), "daily_usage_user (user_no=? AND day>? AND day<?)"),
        (text(&usage::parts(), "CHARGES_OF_USER"), "daily_usage_user (user_no=? AND day>? AND day<?)"),
        (text(&usage::parts(), "CHARGES_OF_PLAN"), "(day>? AND day<?)"),
        (text(&usage::parts(), "CHARGES_OF_ALL"), "(day>? AND day<?)"),
        (text(&usage::parts(), "CHARGES_BY_KEY"), "(day>? AND day<?)"),
        (text(&usage::parts(), "CHARGES_BY_PLAN"), "(day>? AND day<?)"),
        (identity::TEXTS.all(kind)[5].clone(), "sqlite_autoindex_budgets_2 (subject_id=?)"),
        (budgets::TEXTS.all(kind)[0].clone(), "sqlite_autoindex_budgets_2 (subject_id=?)"),
        (budgets::TEXTS.all(kind)[5].clone(), "sqlite_autoindex_budgets_2 (subject_id=?)"),
        (text(users::STATEMENTS, "FIND_BY_EMAIL"), "(email=?)"),
        (identity::TEXTS.all(kind)[0].clone(), "api_keys_previous (previous_hash=?)"),
        (identity::TEXTS.all(kind)[5].clone(), "api_keys_previous (previous_hash=?)"),
        (text(api_keys::STATEMENTS, "LIST_OF_USER"), "api_keys_user (user_id=?)"),
        (text(api_keys::STATEMENTS, "PAGE"), "api_keys_open (user_id=? AND id<?)"),
        (text(api_keys::STATEMENTS, "PAGE_WITH_REVOKED"), "api_keys_user (user_id=? AND id<?)"),
        (text(api_keys::STATEMENTS, "KEYS_OF_OWNER"), "api_keys_open (user_id=?)"),
        (text(last_use::STATEMENTS, "USED"), "(no=?)"),
        (text(last_use::STATEMENTS, "PREVIOUS_USED"), "api_keys_previous (previous_hash=?)"),
        (decrypted_credentials::TEXTS.all(kind)[0].clone(), "provider_keys_own (user_id=?)"),
        (text(provider_keys::STATEMENTS, "LIST_OWN"), "provider_keys_own (user_id=?)"),
        (text(links::STATEMENTS, "TAKE_BACK_OF"), "links_open (user_id=?)"),
        (text(users::STATEMENTS, "PAGE_OF_STATUS"), "users_status (status=? AND no>?)"),
        (text(audit::READING, "ALL"), "audit_log_time (created_at>? AND (created_at,id)<(?,?))"),
        (text(audit::READING, "OF_USER"), "audit_log_user (user_id=? AND created_at>? AND (created_at,id)<(?,?))"),
        (text(audit::READING, "OF_ACTION"), "audit_log_action (action=? AND created_at>? AND (created_at,id)<(?,?))"),
        (text(users::STATEMENTS, "PAGE"), "(no>?)"),
        (text(users::password::STATEMENTS, "CREDENTIALS"), "(email=?)"),
        (text(sessions::STATE, "FIND"), "sqlite_autoindex_sessions"),
        (text(sessions::STATEMENTS, "OF_USER"), "sessions_open (user_id=? AND id<?)"),
        (text(sessions::STATEMENTS, "END_ALL"), "sessions_open (user_id=?)"),
        (text(sessions::REFRESH, "USE"), "(hash=?)"),
        (text(links::STATEMENTS, "FIND"), "(hash=?)"),
        (text(ingest::NAMES, "FIND"), "(kind=? AND name=?)"),
        (text(ingest::STATEMENTS, "PLACES"), "(node_id=?)"),
        (text(retention::STATEMENTS, "EVENTS"), "PRIMARY KEY (id>? AND id<?)"),
        (text(retention::STATEMENTS, "ATTEMPTS"), "sqlite_autoindex_usage_attempts_1 (id>? AND id<?)"),
        (text(retention::ACCOUNTS, "TOKENS"), "sqlite_autoindex_refresh_tokens_1 (id>? AND id<?)"),
        (text(retention::ACCOUNTS, "LINKS"), "sqlite_autoindex_links_1 (id>? AND id<?)"),
        (text(retention::ACCOUNTS, "SESSIONS"), "sessions_expires (expires_at<?)"),
        (text(retention::STATEMENTS, "COUNTS"), "sqlite_autoindex_usage_counts_1 (id>? AND id<?)"),
        (
            "SELECT id FROM usage_events WHERE user_no = $1 AND started_at > $2".to_owned(),
            "usage_events_user (user_no=? AND started_at>?)",
        ),
    ]
}

#[tokio::test]
async fn hot_questions_use_indexes_of_sqlite() {
    let place = Place::sqlite();
    let store = place.open().await;
    for (sql, index) in hot(StoreKind::Sqlite) {
        let plan: Vec<(i64, i64, i64, String)> =
            store.query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).all().await.unwrap();
        let plan: Vec<String> = plan.into_iter().map(|(.., detail)| detail).collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}: {plan:?}");
        assert!(!plan.iter().any(|step| step.starts_with("SCAN")), "{sql}: {plan:?}");
    }
}

#[tokio::test]
async fn hot_questions_use_indexes_of_postgres() {
    let place = Place::postgres().await;
    let mut transaction = place.open().await.begin().await.unwrap();
    // The planner would scan an empty table, so the test shows which index it could use.
    transaction.query("SET LOCAL enable_seqscan = off").run().await.unwrap();
    transaction.query("SET LOCAL plan_cache_mode = force_generic_plan").run().await.unwrap();
    for (nth, (sql, _)) in hot(StoreKind::Postgres).into_iter().enumerate() {
        let parameters = (1..=100).rev().find(|n| sql.contains(&format!("${n}"))).unwrap_or(0);
        let unknown = vec!["unknown"; parameters].join(", ");
        transaction.query(AssertSqlSafe(format!("PREPARE hot_{nth} ({unknown}) AS {sql}"))).once().run().await.unwrap();
        let nulls = vec!["NULL"; parameters].join(", ");
        let explain = format!("EXPLAIN EXECUTE hot_{nth} ({nulls})");
        let plan: Vec<(String,)> = transaction.query(AssertSqlSafe(explain)).once().all().await.unwrap();
        let plan: Vec<String> = plan.into_iter().map(|(step,)| step).collect();
        assert!(plan.iter().any(|step| step.contains("Index Cond")), "{sql}: {plan:?}");
        assert!(!plan.iter().any(|step| step.contains("Seq Scan")), "{sql}: {plan:?}");
    }
}

/// Every look-up after a change waits for the shared credentials, however many users have their own.
#[tokio::test]
async fn shared_credentials_are_found_without_those_of_users() {
    let shared = [
        text(decrypted_credentials::STATEMENTS, "SHARED"),
        text(provider_keys::STATEMENTS, "LIST_SHARED"),
        text(provider_keys::STATEMENTS, "COUNT_SHARED"),
    ];
    for place in Place::both().await {
        let mut transaction = place.open().await.begin().await.unwrap();
        for sql in &shared {
            let plan = match transaction.kind() {
                StoreKind::Sqlite => {
                    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
                    let plan: Vec<(i64, i64, i64, String)> = transaction.query(explain).once().all().await.unwrap();
                    plan.into_iter().map(|(.., detail)| detail).collect::<String>()
                }
                StoreKind::Postgres => {
                    transaction.query("SET LOCAL enable_seqscan = off").run().await.unwrap();
                    let explain = AssertSqlSafe(format!("EXPLAIN {sql}"));
                    let plan: Vec<(String,)> = transaction.query(explain).once().all().await.unwrap();
                    plan.into_iter().map(|(step,)| step).collect()
                }
            };
            assert!(
                plan.contains("provider_keys_everybodys") || plan.contains("provider_keys_shared"),
                "{sql}: {plan}"
            );
            assert!(!plan.contains("Seq Scan") && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
    }
}
