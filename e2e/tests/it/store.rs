//! Access to the rows of the store while the server runs.

use e2e::database::{EventRow, Rows};
use e2e::setup::Folder;
use e2e::{eventually, is_uuid_v7};

/// Returns the first column of the query's only row, as a number.
pub(crate) async fn number(folder: &Folder, query: &'static str) -> i64 {
    rows(folder, &folder.data()).number(query).await
}

/// Returns the result of the integrity check: `ok`, or the damage.
pub(crate) async fn integrity(folder: &Folder) -> String {
    rows(folder, &folder.data()).integrity().await
}

/// Waits until the store has exactly `count` usage events; returns them ordered by id.
pub(crate) async fn events(folder: &Folder, count: usize) -> Vec<EventRow> {
    let mut connection = rows(folder, &folder.data()).connect().await;
    eventually(&format!("the store has {count} rows"), async || {
        let all = connection.events().await;
        (all.len() == count).then_some(all)
    })
    .await
}

/// Waits for the usage event of a response and returns its row.
pub(crate) async fn row(folder: &Folder, answer: &e2e::Answer) -> serde_json::Value {
    let id = id(&answer.head);
    let mut connection = rows(folder, &folder.data()).connect().await;
    eventually("the store has the request's row", async || {
        connection.events().await.into_iter().find(|event| event.id == id).map(|event| event.row)
    })
    .await
}

/// Returns the stored usage events, ordered by id.
pub(crate) async fn all_events(folder: &Folder) -> Vec<EventRow> {
    rows(folder, &folder.data()).events().await
}

pub(crate) fn rows<'a>(folder: &'a Folder, data: &'a std::path::Path) -> Rows<'a> {
    Rows { data, database: folder.database() }
}

/// Returns the request id of a response in the spelling of the store's rows.
pub(crate) fn id(answer: &e2e::Head) -> String {
    let id = answer.header("x-request-id").unwrap();
    assert!(is_uuid_v7(id), "{id}");
    id.replace('-', "")
}
