//! `tollgate migrate up|down|status`, on the database of the suite.

use e2e::setup::Folder;
use e2e::terminal::Terminal;
use e2e::{Gateway, Setup, commands};

use crate::store;

/// Runs `tollgate migrate WHAT`; returns whether it succeeded, and its output.
async fn migrate(folder: &Folder, what: &str) -> (bool, String) {
    let data = folder.data().display().to_string();
    let words: Vec<&str> = what.split(' ').collect();
    let output = commands::run(folder, &[&["migrate"], &words[..], &["--data", &data]].concat()).await;
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
}

async fn works(folder: &Folder, what: &str, says: &[&str]) {
    let (done, printed) = migrate(folder, what).await;
    assert!(done && says.iter().all(|word| printed.contains(word)), "{what}: no {says:?} in {printed}");
}

async fn refused(folder: &Folder, what: &str, code: &str) {
    let (done, printed) = migrate(folder, what).await;
    assert!(!done && printed.contains(&format!("{code}: ")), "{what}: {printed}");
    let listed = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
    let listed = std::fs::read_to_string(listed).unwrap();
    assert!(listed.contains(&format!("`{code}`")), "{code} is not a documented code");
}

/// Undoes the migrations from the newest to `version`.
async fn undo_from(folder: &Folder, version: u32) {
    let last = format!("{version:03} undone");
    loop {
        let (done, printed) = migrate(folder, "down --yes").await;
        assert!(done && printed.contains(" undone"), "{printed}");
        if printed.contains(&last) {
            return;
        }
    }
}

fn by_hand() -> Setup {
    Setup::mocked().section("store", "{migrate: false}")
}

#[tokio::test]
async fn empty_database_is_migrated_by_hand_before_a_server_that_may_not() {
    let folder = Folder::unmigrated();
    if folder.database().is_some() {
        works(&folder, "status", &["001  missing", "`tollgate migrate up`"]).await;
        works(&folder, "down", &["nothing was undone"]).await;
    } else {
        refused(&folder, "status", "store_missing").await;
        refused(&folder, "down", "store_missing").await;
    }
    let (code, printed) = commands::serve_to_its_end(&folder, &by_hand()).await;
    assert!(code == Some(1) && printed.contains("store_older"), "{printed}");
    works(&folder, "up", &["001 applied", "044 applied"]).await;
    works(&folder, "up", &["nothing was changed"]).await;
    works(&folder, "status", &["001  applied", "create plans", "004  applied", "create daily usage", "up to date"])
        .await;
    let gateway = Gateway::start_in(folder, by_hand()).await;
    gateway.validate(&gateway.key().await).await;
}

#[tokio::test]
async fn servers_that_start_at_once_migrate_an_empty_database_together() {
    let folder = Folder::unmigrated();
    let started = if folder.database().is_some() {
        let beside = folder.beside();
        let (one, other) =
            tokio::join!(Gateway::start_in(folder, Setup::mocked()), Gateway::start_in(beside, Setup::mocked()));
        vec![one, other]
    } else {
        vec![Gateway::start_in(folder, Setup::mocked()).await]
    };
    let key = started[0].key().await;
    for gateway in &started {
        works(gateway.folder(), "status", &["001  applied", "044  applied", "up to date"]).await;
        gateway.validate(&key).await;
    }
}

#[tokio::test]
async fn down_is_refused_while_a_server_runs_and_applied_after_it_has_ended() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    refused(gateway.folder(), "down", "store_in_use").await;
    works(gateway.folder(), "up", &["nothing was changed"]).await;
    works(gateway.folder(), "status", &["up to date"]).await;
    gateway.validate(&key).await;
    refused(gateway.folder(), "down --yes", "store_in_use").await;
    let folder = gateway.stop().await.folder;
    undo_from(&folder, 1).await;
    works(&folder, "down", &["nothing was undone"]).await;
    works(&folder, "status", &["001  missing", "044  missing"]).await;
    // The next server creates the tables again, empty.
    let gateway = Gateway::start_in(folder, Setup::mocked()).await;
    assert_eq!(store::number(gateway.folder(), "SELECT count(*) FROM api_keys").await, 0);
    gateway.validate(&gateway.key().await).await;
}

#[tokio::test]
async fn server_that_crashed_does_not_keep_a_database_from_going_back() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let folder = gateway.crash().folder;
    works(&folder, "down --yes", &["undoing 044 (extend credits)", "044 undone"]).await;
}

#[tokio::test]
async fn down_names_the_deleted_data_and_changes_nothing_without_confirmation() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let folder = gateway.stop().await.folder;
    // Keys remain the newest subject.
    undo_from(&folder, 4).await;
    let (done, printed) = migrate(&folder, "down").await;
    assert!(!done && printed.contains("confirmation_missing: ") && printed.contains("--yes"), "{printed}");
    let row = printed.lines().find(|line| line.trim_start().starts_with("api_keys "));
    assert!(row.is_some_and(|row| row.ends_with(" 1")), "{printed}");
    let data = folder.data().display().to_string();
    let words = ["migrate", "down", "--data", data.as_str()];
    for typed in ["y", "", "no"] {
        let mut terminal = Terminal::run(&folder, &words);
        terminal.sees("Type yes to continue: ", 1).await;
        assert!(terminal.shown().contains("api_keys ") && terminal.echoes(), "{}", terminal.shown());
        terminal.types(typed);
        assert_eq!(terminal.ends().await, Some(1), "{typed:?}: {}", terminal.shown());
    }
    assert_eq!(store::number(&folder, "SELECT count(*) FROM api_keys").await, 1);
    let gateway = Gateway::start_in(folder, Setup::mocked()).await;
    gateway.validate(&key).await;
    let folder = gateway.stop().await.folder;
    let mut terminal = Terminal::run(&folder, &words);
    terminal.sees("Type yes to continue: ", 1).await;
    terminal.types("yes");
    terminal.sees("044 undone", 1).await;
    assert_eq!(terminal.ends().await, Some(0), "{}", terminal.shown());
}
