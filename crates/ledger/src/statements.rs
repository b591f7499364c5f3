//! The test that prepares every SQL text of the crate.

use std::collections::BTreeSet;

use store::Store;
use store::sql::StoreKind;

use crate::fixture::{Place, Statements, check_indexes_of_postgres, check_indexes_of_sqlite, prepare_all, text};
use crate::{billing, busy_subjects, busy_users, ingest, reconcile, retention, reviews, usage};

/// The statements that the crate declares.
const LISTS: &[&Statements] = &[
    ingest::STATEMENTS,
    ingest::CARRIED,
    ingest::NAMES,
    retention::STATEMENTS,
    retention::ACCOUNTS,
    reviews::STATEMENTS,
    usage::STATEMENTS,
    busy_subjects::STATEMENTS,
    busy_users::STATEMENTS,
    usage::unpriced_models::STATEMENTS,
];

#[tokio::test]
async fn every_statement_prepares() {
    let built = async |store: &Store| {
        let kind = store.kind();
        let parts = usage::parts().into_iter().map(|(_, sql)| sql.to_owned()).collect();
        [parts, usage::built(kind), ingest::texts(kind), reconcile::texts()].concat()
    };
    let lists: Vec<&Statements> = LISTS.iter().chain(billing::LISTS).copied().collect();
    prepare_all(&lists, built).await;
}

/// A column of a table that no insert writes, or an insert of a missing column, would lose usage without an error.
#[tokio::test]
async fn inserts_write_every_column_of_their_tables() {
    for place in Place::both().await {
        let store = place.open().await;
        for insert in ingest::inserts() {
            let (table, columns) = insert.columns();
            let query = match store.kind() {
                StoreKind::Sqlite => "SELECT name FROM pragma_table_info($1)",
                StoreKind::Postgres => {
                    "SELECT CAST(column_name AS TEXT) FROM information_schema.columns
                    WHERE table_schema = current_schema() AND table_name = $1"
                }
            };
            let stored: Vec<(String,)> = store.query(query).bind(table).all().await.unwrap();
            let stored: Vec<&str> = stored.iter().map(|(name,)| name.as_str()).collect();
            let columns: Vec<&str> = columns.collect();
            if table == "usage_events" && store.kind() == StoreKind::Sqlite {
                assert_eq!(stored, columns, "SQLite copies the values of an INSERT in another order");
            }
            let [stored, columns] = [stored, columns].map(BTreeSet::from_iter);
            assert_eq!(stored, columns, "{table} on {:?}", store.kind());
        }
    }
}

/// Queries that run often or on large tables, with the index as SQLite names it.
fn hot() -> Vec<(String, &'static str)> {
    vec![
        (text(usage::STATEMENTS, "OF_DAY"), "(day=? AND user_no=?)"),
        (text(billing::invoices::STATEMENTS, "ALL_IN_STATE"), "invoices_listed (state=? AND id<?)"),
        (text(billing::invoices::STATEMENTS, "OF_USER"), "invoices_user (user_id=? AND id<?)"),
        (text(ingest::NAMES, "FIND"), "(kind=? AND name=?)"),
        (text(ingest::STATEMENTS, "PLACES"), "(node_id=?)"),
        (text(retention::STATEMENTS, "EVENTS"), "sqlite_autoindex_usage_events_1 (id>? AND id<?)"),
        (text(retention::STATEMENTS, "SUBJECTS"), "sqlite_autoindex_daily_subjects_1 (id>? AND id<?)"),
        (text(busy_subjects::STATEMENTS, "BUSIEST"), "sqlite_autoindex_daily_subjects_1 (id>?)"),
        (text(retention::STATEMENTS, "RAW"), "sqlite_autoindex_usage_raw_1 (id>? AND id<?)"),
        (text(retention::STATEMENTS, "ATTEMPTS"), "sqlite_autoindex_usage_attempts_1 (id>? AND id<?)"),
        (text(retention::ACCOUNTS, "TOKENS"), "sqlite_autoindex_refresh_tokens_1 (id>? AND id<?)"),
        (text(retention::ACCOUNTS, "LINKS"), "sqlite_autoindex_links_1 (id>? AND id<?)"),
        (text(retention::ACCOUNTS, "SESSIONS"), "sessions_expires (expires_at<?)"),
        (text(retention::STATEMENTS, "COUNTS"), "sqlite_autoindex_usage_counts_1 (id>? AND id<?)"),
        (text(retention::STATEMENTS, "HOURS"), "sqlite_autoindex_hourly_usage_1 (id>? AND id<?)"),
        (
            "SELECT id FROM usage_events WHERE user_no = $1 AND started_at > $2".to_owned(),
            "usage_events_user (user_no=? AND started_at>?)",
        ),
    ]
}

#[tokio::test]
async fn hot_questions_use_indexes_of_sqlite() {
    check_indexes_of_sqlite(hot()).await;
}

#[tokio::test]
async fn hot_questions_use_indexes_of_postgres() {
    check_indexes_of_postgres(hot()).await;
}
