//! The test that prepares every SQL text of the crate.

use store::Store;
use store::sql::StoreKind;

use crate::fixture::{
    Statements, check_index_of_shared_credentials, check_indexes_of_postgres, check_indexes_of_sqlite, prepare_all,
    text,
};
use crate::{decrypted_credentials, job_claims, lease_server, leases};

/// The statements that the crate declares.
const LISTS: &[&Statements] = &[
    decrypted_credentials::STATEMENTS,
    job_claims::STATEMENTS,
    lease_server::STATEMENTS,
    lease_server::WINDOWS,
    lease_server::reclaim::STATEMENTS,
    lease_server::unreported::STATEMENTS,
    leases::STATEMENTS,
];

#[tokio::test]
async fn every_statement_prepares() {
    let built = async |store: &Store| {
        [decrypted_credentials::TEXTS.all(store.kind()).to_vec(), lease_server::texts(store.kind())].concat()
    };
    prepare_all(LISTS, built).await;
}

/// Queries that run often or on large tables, with the index as SQLite names it.
fn hot(kind: StoreKind) -> Vec<(String, &'static str)> {
    vec![(decrypted_credentials::TEXTS.all(kind)[0].clone(), "provider_keys_own (user_id=?)")]
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
    check_index_of_shared_credentials(&[text(decrypted_credentials::STATEMENTS, "SHARED")]).await;
}
