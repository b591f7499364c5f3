//! What the store's file says, read beside the server.

use std::path::{Path, PathBuf};

use e2e::setup::Folder;
use e2e::{eventually, is_uuid_v7};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};

/// A row of `usage_events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// The request's id, in lowercase hex without dashes.
    pub(crate) id: String,
    pub(crate) status: i64,
    pub(crate) outcome: String,
}

/// SQLite's file in a data folder.
pub(crate) fn file(data: &Path) -> PathBuf {
    let is_sqlite = |path: &PathBuf| std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0"));
    std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()).find(is_sqlite).unwrap()
}

async fn open(folder: &Folder) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file(&folder.data())).read_only(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// The first column of a query's one row, as a number.
pub(crate) async fn number(folder: &Folder, query: &'static str) -> i64 {
    let mut store = open(folder).await;
    let number = sqlx::query_scalar(query).fetch_one(&mut store).await.unwrap();
    store.close().await.unwrap();
    number
}

/// What SQLite says of its own file: `ok`, or what is wrong.
pub(crate) async fn integrity(folder: &Folder) -> String {
    let mut store = open(folder).await;
    let told = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut store).await.unwrap();
    store.close().await.unwrap();
    told
}

/// The rows of requests, in order of their ids, as soon as there are `count` of them.
pub(crate) async fn events(folder: &Folder, count: usize) -> Vec<Event> {
    eventually(&format!("the store has {count} rows"), async || {
        let all = all_events(folder).await;
        (all.len() == count).then_some(all)
    })
    .await
}

/// The rows of requests that are there, in order of their ids.
pub(crate) async fn all_events(folder: &Folder) -> Vec<Event> {
    let mut store = open(folder).await;
    let query = sqlx::query("SELECT lower(hex(id)), status, outcome FROM usage_events ORDER BY id");
    let rows = query.fetch_all(&mut store).await.unwrap();
    store.close().await.unwrap();
    rows.iter().map(event).collect()
}

fn event(row: &SqliteRow) -> Event {
    Event { id: row.get(0), status: row.get(1), outcome: row.get(2) }
}

/// The id of an answer's request, as the store's rows have it.
pub(crate) fn id(answer: &e2e::Head) -> String {
    let id = answer.header("x-request-id").unwrap();
    assert!(is_uuid_v7(id), "{id}");
    id.replace('-', "")
}
