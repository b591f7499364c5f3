//! Moves, backups and restores of the store.

use e2e::database::Database;
use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, commands};

use crate::bodies::{CHAT, Format};
use crate::store;

/// Runs a command that must succeed; returns its stdout.
async fn must(folder: &Folder, words: &[&str]) -> String {
    let output = commands::run(folder, words).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{words:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

async fn refused(folder: &Folder, words: &[&str]) -> String {
    let output = commands::run(folder, words).await;
    assert!(!output.status.success(), "{words:?} worked");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the folder of a stopped server after three requests with a key, and the key.
async fn used() -> (Folder, String) {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    for _ in 0..3 {
        gateway.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key)).await.expect(200);
    }
    (gateway.stop().await.folder, key)
}

fn sums(said: &str) -> String {
    said.lines().filter(|line| line.contains(" rows")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_moved_store_goes_on_where_it_was() {
    // `move` copies SQLite only, whatever store the suite uses.
    let (folder, key) = used().await;
    let data = folder.data().display().to_string();
    let there = Database::new();
    if folder.database().is_some() {
        let told = refused(&folder, &["move", "--data", &data, "--to", &there.url()]).await;
        assert!(told.contains("store_missing"), "{told}");
        return;
    }
    let running = Gateway::start_in(folder, Setup::mocked()).await;
    let told = refused(running.folder(), &["move", "--data", &data, "--to", &there.url()]).await;
    assert!(told.contains("data_in_use"), "{told}");
    let folder = running.stop().await.folder;

    let said = must(&folder, &["move", "--data", &data, "--to", &there.url()]).await;
    assert!(said.contains("usage_events             3 rows  credits 3"), "{said}");
    let again = refused(&folder, &["move", "--data", &data, "--to", &there.url()]).await;
    assert!(again.contains("store_not_empty"), "{again}");

    let moved = Gateway::start_in(folder, Setup::mocked().variable("DATABASE_URL", &there.url())).await;
    let usage = moved.usage(&key).await;
    assert_eq!((&usage["requests"], &usage["credits"]), (&3.into(), &3.into()), "{usage}");
    moved.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key)).await.expect(200);
    e2e::eventually("the fourth request is counted", async || (moved.usage(&key).await["requests"] == 4).then_some(()))
        .await;
    moved.stop().await;
}

#[tokio::test]
async fn a_backup_is_restored_and_says_what_it_brings_back() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let account = gateway.account("open").await;
    let key = account.key.clone();
    let call = || Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key);
    gateway.call(call()).await.expect(200);
    store::events(gateway.folder(), 1).await;
    let data = gateway.folder().data().display().to_string();
    let file = gateway.folder().path().join("backup").display().to_string();
    let written = must(gateway.folder(), &["backup", &file, "--data", &data]).await;
    let told = refused(gateway.folder(), &["backup", &file, "--data", &data]).await;
    assert!(told.contains("backup_unwritable"), "{told}");

    gateway.call(call()).await.expect(200);
    store::events(gateway.folder(), 2).await;
    let id = commands::keys_list(gateway.folder(), &account.email).await.split_whitespace().next().unwrap().to_owned();
    commands::keys_revoke(gateway.folder(), &id).await;
    let told = refused(gateway.folder(), &["restore", &file, "--data", &data]).await;
    assert!(told.contains("data_in_use"), "{told}");
    let folder = gateway.stop().await.folder;

    let told = refused(&folder, &["restore", &file, "--data", &data]).await;
    assert!(told.contains("store_not_empty"), "{told}");
    if folder.database().is_some() {
        let told = refused(&folder, &["restore", &file, "--data", &data, "--replace"]).await;
        assert!(told.contains("replaces_files_only"), "{told}");
        return;
    }
    let output = commands::run(&folder, &["restore", &file, "--data", &data, "--replace"]).await;
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success() && told.contains("confirmation_missing"), "{told}");
    assert!(told.contains("(users: 1, keys: 1, recorded requests: 2)"), "{told}");
    assert_eq!(store::number(&folder, "SELECT count(*) FROM usage_events").await, 2);
    let restored = must(&folder, &["restore", &file, "--data", &data, "--replace", "--yes"]).await;
    assert_eq!(sums(&restored), sums(&written));
    for told in [
        "1 revoked keys are valid again",
        "0 suspended users are active",
        "1 credits of today",
        "All sessions have ended",
    ] {
        assert!(restored.contains(told), "{told}: {restored}");
    }
    let again = Gateway::start_in(folder, Setup::mocked()).await;
    again.call(call()).await.expect(200);
}

#[tokio::test]
async fn a_backup_of_postgresql_makes_a_sqlite_store() {
    let (folder, key) = used().await;
    let data = folder.data().display().to_string();
    let file = folder.path().join("backup").display().to_string();
    must(&folder, &["backup", &file, "--data", &data]).await;

    let elsewhere = Folder::on_sqlite();
    let there = elsewhere.data().display().to_string();
    let said = must(&elsewhere, &["restore", &file, "--data", &there]).await;
    assert!(said.contains("usage_events             3 rows  credits 3"), "{said}");
    let gateway = Gateway::start_in(elsewhere, Setup::mocked()).await;
    assert_eq!(gateway.usage(&key).await["requests"], 3);
    let told = refused(gateway.folder(), &["restore", "/etc/hostname", "--data", &data]).await;
    assert!(told.contains("no_backup"), "{told}");
}

#[tokio::test]
async fn a_store_that_is_damaged_or_newer_is_replaced() {
    let gateway = Gateway::start_in(Folder::on_sqlite(), Setup::mocked()).await;
    let key = gateway.key().await;
    let folder = gateway.stop().await.folder;
    let data = folder.data().display().to_string();
    let file = folder.path().join("backup").display().to_string();
    must(&folder, &["backup", &file, "--data", &data]).await;
    let restore = ["restore", &file, "--data", &data, "--replace", "--yes"];
    std::fs::write(folder.data().join("tollgate.db"), "no database, but a text that is long enough to be one").unwrap();
    let told = must(&folder, &restore).await;
    assert!(told.contains("could not be compared with the backup. store_damaged"), "{told}");

    let newer = "UPDATE schema_floor SET version = 9000; UPDATE _sqlx_migrations SET version = 9000";
    store::rows(&folder, &folder.data()).execute(newer, newer).await;
    let told = must(&folder, &restore).await;
    assert!(told.contains("could not be compared with the backup. store_newer"), "{told}");
    let again = Gateway::start_in(folder, Setup::mocked()).await;
    assert_eq!(again.usage(&key).await["requests"], 0);
}
