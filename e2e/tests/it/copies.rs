//! Moves, backups and restores of the store.

use e2e::database::Database;
use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, commands};

use crate::bodies::{CHAT, Format};
use crate::store;

/// Runs a command that must succeed; returns its stdout.
async fn must(folder: &Folder, words: &[&str]) -> String {
    let output = commands::run(folder, words).await;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{words:?}: {printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
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

fn sums(printed: &str) -> String {
    printed.lines().filter(|line| line.contains(" rows")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_moved_store_keeps_all_data() {
    // `move` copies SQLite only, whatever store the suite uses.
    let (folder, key) = used().await;
    let data = folder.data().display().to_string();
    let there = Database::new();
    if folder.database().is_some() {
        let reported = refused(&folder, &["move", "--data", &data, "--to", &there.url()]).await;
        assert!(reported.contains("store_missing"), "{reported}");
        return;
    }
    let running = Gateway::start_in(folder, Setup::mocked()).await;
    let reported = refused(running.folder(), &["move", "--data", &data, "--to", &there.url()]).await;
    assert!(reported.contains("data_in_use"), "{reported}");
    let folder = running.stop().await.folder;

    let printed = must(&folder, &["move", "--data", &data, "--to", &there.url()]).await;
    assert!(printed.contains("usage_events             3 rows  credits 3"), "{printed}");
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
async fn a_backup_is_restored_with_a_list_of_its_effects() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let account = gateway.account("open").await;
    let key = account.key.clone();
    let call = || Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key);
    gateway.call(call()).await.expect(200);
    store::events(gateway.folder(), 1).await;
    let data = gateway.folder().data().display().to_string();
    let file = gateway.folder().path().join("backup").display().to_string();
    let written = must(gateway.folder(), &["backup", &file, "--data", &data]).await;
    let reported = refused(gateway.folder(), &["backup", &file, "--data", &data]).await;
    assert!(reported.contains("backup_unwritable"), "{reported}");

    gateway.call(call()).await.expect(200);
    store::events(gateway.folder(), 2).await;
    let id = commands::keys_list(gateway.folder(), &account.email).await.split_whitespace().next().unwrap().to_owned();
    commands::keys_revoke(gateway.folder(), &id).await;
    for flags in [&[][..], &["--replace", "--yes"]] {
        let words = [&["restore", file.as_str(), "--data", data.as_str()], flags].concat();
        let reported = refused(gateway.folder(), &words).await;
        assert!(reported.contains("data_in_use"), "{reported}");
    }
    // The server has continued.
    gateway.ask(Call::get("/readyz")).await.expect(200);
    let folder = gateway.stop().await.folder;

    let reported = refused(&folder, &["restore", &file, "--data", &data]).await;
    assert!(reported.contains("store_not_empty"), "{reported}");
    if folder.database().is_some() {
        let reported = refused(&folder, &["restore", &file, "--data", &data, "--replace"]).await;
        assert!(reported.contains("replaces_files_only"), "{reported}");
        return;
    }
    let output = commands::run(&folder, &["restore", &file, "--data", &data, "--replace"]).await;
    let reported = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success() && reported.contains("confirmation_missing"), "{reported}");
    assert!(reported.contains("(users: 1, keys: 1, recorded requests: 2)"), "{reported}");
    let cut = format!("{file}.cut");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let reported = refused(&folder, &["restore", &cut, "--data", &data, "--replace", "--yes"]).await;
    assert!(reported.contains("no_backup"), "{reported}");
    assert_eq!(store::number(&folder, "SELECT count(*) FROM usage_events").await, 2);
    let restored = must(&folder, &["restore", &file, "--data", &data, "--replace", "--yes"]).await;
    assert_eq!(sums(&restored), sums(&written));
    for reported in [
        "1 revoked keys are valid again",
        "0 suspended users are active",
        "1 credits of today",
        "All sessions have ended",
    ] {
        assert!(restored.contains(reported), "{reported}: {restored}");
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
    let printed = must(&elsewhere, &["restore", &file, "--data", &there]).await;
    assert!(printed.contains("usage_events             3 rows  credits 3"), "{printed}");
    let gateway = Gateway::start_in(elsewhere, Setup::mocked()).await;
    assert_eq!(gateway.usage(&key).await["requests"], 3);
    let reported = refused(gateway.folder(), &["restore", "/etc/hostname", "--data", &data]).await;
    assert!(reported.contains("no_backup"), "{reported}");
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
    let reported = must(&folder, &restore).await;
    assert!(reported.contains("could not be compared with the backup. store_damaged"), "{reported}");

    let newer = "UPDATE schema_floor SET version = 9000; UPDATE _sqlx_migrations SET version = 9000 WHERE version = 13";
    store::rows(&folder, &folder.data()).execute(newer, newer).await;
    let reported = must(&folder, &restore).await;
    assert!(reported.contains("could not be compared with the backup. store_newer"), "{reported}");
    let again = Gateway::start_in(folder, Setup::mocked()).await;
    assert_eq!(again.usage(&key).await["requests"], 0);
}
