//! What the store's rows say, read beside the server.

use e2e::database::{Event, Rows};
use e2e::setup::Folder;
use e2e::{eventually, is_uuid_v7};

/// The first column of a query's one row, as a number.
pub(crate) async fn number(folder: &Folder, query: &'static str) -> i64 {
    rows(folder, &folder.data()).number(query).await
}

/// What the database says of itself: `ok`, or what is wrong.
pub(crate) async fn integrity(folder: &Folder) -> String {
    rows(folder, &folder.data()).integrity().await
}

/// The rows of requests, in order of their ids, as soon as there are `count` of them.
pub(crate) async fn events(folder: &Folder, count: usize) -> Vec<Event> {
    eventually(&format!("the store has {count} rows"), async || {
        let all = all_events(folder).await;
        (all.len() == count).then_some(all)
    })
    .await
}

/// The row of one answer's request, as soon as it is there.
pub(crate) async fn row(folder: &Folder, answer: &e2e::Answer) -> serde_json::Value {
    let id = id(&answer.head);
    eventually("the store has its row", async || {
        all_events(folder).await.into_iter().find(|event| event.id == id).map(|event| event.row)
    })
    .await
}

/// The rows of requests that are there, in order of their ids.
pub(crate) async fn all_events(folder: &Folder) -> Vec<Event> {
    rows(folder, &folder.data()).events().await
}

pub(crate) fn rows<'a>(folder: &'a Folder, data: &'a std::path::Path) -> Rows<'a> {
    Rows { data, database: folder.database() }
}

/// The id of an answer's request, as the store's rows have it.
pub(crate) fn id(answer: &e2e::Head) -> String {
    let id = answer.header("x-request-id").unwrap();
    assert!(is_uuid_v7(id), "{id}");
    id.replace('-', "")
}
