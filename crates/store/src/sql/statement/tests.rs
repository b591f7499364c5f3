use crate::accounts::{grants, links, password_links, session_end, sessions, users};
use crate::copies::{backup, copy};
use crate::fixture::{
    Statements, check_index_of_shared_credentials, check_indexes_of_postgres, check_indexes_of_sqlite, prepare_all,
    text,
};
use crate::keys::api_keys;
use crate::limits::{budgets, charges, scope_ids, subscription_dates};
use crate::nodes::{forgotten_nodes, node};
use crate::opening::handle::{self, key_numbers, last_use};
use crate::opening::migration;
use crate::sealed::{provider_keys, signing_keys, vault};
use crate::sql::{StoreKind, dialect};
use crate::{Store, audit, cache_purges, configurations, identity, plans, revision};

/// The statements that the crate declares, except migrations, settings, and those on a backup's own table.
const LISTS: &[&Statements] = &[
    api_keys::STATEMENTS,
    api_keys::bound::STATEMENTS,
    api_keys::change::STATEMENTS,
    api_keys::everybody::STATEMENTS,
    api_keys::repeated::STATEMENTS,
    key_numbers::STATEMENTS,
    audit::STATEMENTS,
    audit::READING,
    backup::STATEMENTS,
    budgets::STATEMENTS,
    cache_purges::STATEMENTS,
    charges::STATEMENTS,
    charges::windows::STATEMENTS,
    configurations::STATEMENTS,
    copy::STATEMENTS,
    forgotten_nodes::STATEMENTS,
    grants::STATEMENTS,
    handle::STATEMENTS,
    last_use::STATEMENTS,
    links::STATEMENTS,
    migration::STATEMENTS,
    node::STATEMENTS,
    password_links::STATEMENTS,
    plans::STATEMENTS,
    provider_keys::STATEMENTS,
    revision::STATEMENTS,
    session_end::STATEMENTS,
    sessions::STATEMENTS,
    sessions::REFRESH,
    sessions::STATE,
    signing_keys::STATEMENTS,
    users::STATEMENTS,
    users::change::STATEMENTS,
    users::password::STATEMENTS,
    vault::STATEMENTS,
];

#[tokio::test]
async fn every_statement_prepares() {
    let built = async |store: &Store| {
        let kind = store.kind();
        let scope_ids = [&scope_ids::KEYS, &scope_ids::USERS, &scope_ids::SUBJECTS];
        let texts = [&identity::TEXTS, &budgets::TEXTS, &grants::TEXTS, &subscription_dates::TEXTS]
            .into_iter()
            .chain(scope_ids);
        let mut built: Vec<String> = texts.flat_map(|texts| texts.all(kind)).cloned().collect();
        built.extend(charges::texts(kind));
        built.extend(dialect::texts(kind));
        if kind == StoreKind::Postgres {
            let texts = [dialect::postgres::EXISTS, dialect::postgres::PRESENT, dialect::postgres::WRITING];
            built.extend(texts.map(str::to_owned));
        }
        built.extend(copy::texts(&mut store.begin().await.unwrap()).await);
        built
    };
    prepare_all(LISTS, built).await;
}

/// Queries that run often or on large tables, with the index as SQLite names it.
fn hot(kind: StoreKind) -> Vec<(String, &'static str)> {
    vec![
        (identity::TEXTS.all(kind)[0].clone(), "sqlite_autoindex_api_keys"),
        (text(charges::STATEMENTS, "CHARGES_OF_KEY"), "daily_usage_user (user_no=? AND day>? AND day<?)"),
        (text(charges::STATEMENTS, "CHARGES_OF_USER"), "daily_usage_user (user_no=? AND day>? AND day<?)"),
        (text(charges::STATEMENTS, "CHARGES_OF_SUBJECT"), "(subject_id=? AND day>? AND day<?)"),
        (text(charges::STATEMENTS, "CHARGES_OF_WINDOW"), "(owner_id=? AND per=? AND begin_minute=?)"),
        (text(charges::windows::STATEMENTS, "OPEN"), "(owner_id=? AND per=?)"),
        (text(charges::windows::STATEMENTS, "BY_NODE"), "(owner_id=? AND per=? AND begin_minute=?)"),
        (text(charges::STATEMENTS, "CHARGES_OF_PLAN"), "(day>? AND day<?)"),
        (text(charges::STATEMENTS, "CHARGES_OF_ALL"), "(day>? AND day<?)"),
        (text(charges::STATEMENTS, "CHARGES_BY_KEY"), "(day>? AND day<?)"),
        (text(charges::STATEMENTS, "CHARGES_BY_PLAN"), "(day>? AND day<?)"),
        (identity::TEXTS.all(kind)[5].clone(), "sqlite_autoindex_budgets_2 (scope_id=?)"),
        (budgets::TEXTS.all(kind)[0].clone(), "sqlite_autoindex_budgets_2 (scope_id=?)"),
        (budgets::TEXTS.all(kind)[5].clone(), "sqlite_autoindex_budgets_2 (scope_id=?)"),
        (text(users::STATEMENTS, "FIND_BY_EMAIL"), "(email=?)"),
        (identity::TEXTS.all(kind)[0].clone(), "api_keys_previous (previous_hash=?)"),
        (identity::TEXTS.all(kind)[5].clone(), "api_keys_previous (previous_hash=?)"),
        (text(api_keys::STATEMENTS, "LIST_OF_USER"), "api_keys_user (user_id=?)"),
        (text(api_keys::STATEMENTS, "PAGE"), "api_keys_open (user_id=? AND id<?)"),
        (text(api_keys::STATEMENTS, "PAGE_WITH_REVOKED"), "api_keys_user (user_id=? AND id<?)"),
        (text(api_keys::STATEMENTS, "KEYS_OF_OWNER"), "api_keys_open (user_id=?)"),
        (text(api_keys::repeated::STATEMENTS, "FORGET"), "key_requests_time (created_at<?)"),
        (text(api_keys::repeated::STATEMENTS, "COUNT"), "key_requests_user (user_id=?)"),
        (text(last_use::STATEMENTS, "USED"), "(no=?)"),
        (text(last_use::STATEMENTS, "PREVIOUS_USED"), "api_keys_previous (previous_hash=?)"),
        (text(provider_keys::STATEMENTS, "LIST_OWN"), "provider_keys_own (user_id=?)"),
        (text(password_links::STATEMENTS, "TAKE_BACK_OF"), "links_open (user_id=?)"),
        (text(users::STATEMENTS, "PAGE_OF_STATUS"), "users_status (status=? AND no>?)"),
        (text(audit::READING, "ALL"), "audit_log_time (created_at>? AND (created_at,id)<(?,?))"),
        (text(audit::READING, "OF_USER"), "audit_log_user (user_id=? AND created_at>? AND (created_at,id)<(?,?))"),
        (
            text(audit::READING, "OF_ACTOR"),
            "audit_log_actor (actor_user_id=? AND created_at>? AND (created_at,id)<(?,?))",
        ),
        (text(audit::READING, "OF_ACTION"), "audit_log_action (action=? AND created_at>? AND (created_at,id)<(?,?))"),
        (text(users::STATEMENTS, "PAGE"), "(no>?)"),
        (text(users::password::STATEMENTS, "CREDENTIALS"), "(email=?)"),
        (text(sessions::STATE, "FIND"), "sqlite_autoindex_sessions"),
        (text(sessions::STATEMENTS, "OF_USER"), "sessions_open (user_id=? AND id<?)"),
        (text(session_end::STATEMENTS, "END_ALL"), "sessions_open (user_id=?)"),
        (text(sessions::REFRESH, "USE"), "(hash=?)"),
        (text(links::STATEMENTS, "FIND"), "(hash=?)"),
    ]
}

#[tokio::test]
async fn hot_questions_use_indexes_of_sqlite() {
    check_indexes_of_sqlite(hot(StoreKind::Sqlite)).await;
}

#[tokio::test]
async fn hot_questions_use_indexes_of_postgres() {
    check_indexes_of_postgres(hot(StoreKind::Postgres)).await;
}

#[tokio::test]
async fn shared_credentials_are_found_without_those_of_users() {
    let texts = ["LIST_SHARED", "COUNT_SHARED"].map(|name| text(provider_keys::STATEMENTS, name));
    check_index_of_shared_credentials(&texts).await;
}
