//! A store that can be read but not written: a full disk, or a standby that replaced the primary too early.

use e2e::database::{Database, Rows};
use e2e::setup::Folder;
use e2e::{Answer, Call, Gateway, Setup, eventually};
use serde_json::json;

/// Makes later connections read-only, or writable again.
const NO_WRITES: &str = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$";
const WRITES: &str = "BEGIN READ WRITE;
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = off', current_database()); END $$;
    COMMIT";

async fn make_key(gateway: &Gateway, key: &str) -> Answer {
    gateway.ask(Call::json("/api/keys", &json!({"label": "another"})).key(key)).await
}

async fn labels(gateway: &Gateway, key: &str) -> Vec<String> {
    let keys = gateway.ask(Call::get("/api/keys").key(key)).await.expect(200).json();
    keys["items"].as_array().unwrap().iter().map(|item| item["label"].to_string()).collect()
}

/// For SQLite, a test of the store covers this: its only writing connection cannot be reached from outside.
#[tokio::test]
async fn a_read_only_store_is_reported_and_nothing_is_half_written() {
    let gateway = Gateway::start_in(Folder::on_postgres(Database::new()), Setup::mocked()).await;
    let key = gateway.key().await;
    let before = labels(&gateway, &key).await;
    let database = gateway.folder().database().unwrap();
    let data = gateway.folder().data();
    let rows = Rows { data: &data, database: Some(database) };
    let lines = rows.number("SELECT count(*) FROM audit_log").await;

    rows.execute("", NO_WRITES).await;
    database.cut();
    let refused = eventually("the response reports a read-only store", async || {
        let answer = make_key(&gateway, &key).await;
        answer.text().contains("the store takes no writes at the moment, and nothing was changed").then_some(answer)
    })
    .await;
    assert_eq!((refused.status(), &refused.json()["error"]["code"]), (503, &json!("unavailable")));
    assert_eq!(refused.header("retry-after"), Some("1"));
    // Reads continue and return the previous data.
    assert_eq!(labels(&gateway, &key).await, before);
    assert_eq!(rows.number("SELECT count(*) FROM audit_log").await, lines);

    // No connection is cut: each one that cannot write serves once.
    rows.execute("", WRITES).await;
    eventually("the store accepts writes", async || (make_key(&gateway, &key).await.status() == 201).then_some(()))
        .await;
    assert_eq!(labels(&gateway, &key).await.len(), before.len() + 1);
    assert_eq!(rows.number("SELECT count(*) FROM audit_log").await, lines + 1);
}
