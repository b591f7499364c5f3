use std::collections::BTreeMap;

use super::*;
use crate::copies::copy::tests::filled;
use crate::fixture::Place;

/// Returns the databases in the folder, with the files next to them.
fn files(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    let databases = named.filter(|(name, _)| name.contains(".db") && name != "tollgate.db.lock");
    databases.map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

async fn begin(place: &Place) -> Successor {
    Successor::begin(place.folder.path(), Clock::system()).await.unwrap()
}

fn aside(place: &Place) -> PathBuf {
    place.folder.path().join("tollgate.db.old")
}

#[tokio::test]
async fn what_only_the_old_stores_log_holds_is_set_aside_with_it() {
    let place = Place::sqlite();
    let other = Place::sqlite();
    let store = filled(&other).await;
    // The files that a killed process leaves.
    for (name, bytes) in files(&other) {
        std::fs::write(place.folder.path().join(name), bytes).unwrap();
    }
    assert!(files(&place)["tollgate.db-wal"].len() > 1_000_000);
    begin(&place).await.succeed(&aside(&place)).await.unwrap();
    assert_eq!(files(&place).keys().collect::<Vec<_>>(), ["tollgate.db", "tollgate.db.old"]);
    let old = Store::open_file(&aside(&place), Clock::system()).await.unwrap();
    assert_eq!(old.users().await.unwrap(), store.users().await.unwrap());
    assert_eq!(place.open().await.users().await.unwrap(), []);
}

#[tokio::test]
async fn a_damaged_store_is_set_aside_byte_for_byte() {
    let place = Place::sqlite();
    let damaged = ["tollgate.db", "tollgate.db-wal", "tollgate.db-shm"];
    for name in damaged {
        std::fs::write(place.folder.path().join(name), format!("{name}: this is no database, whatever it says of it"))
            .unwrap();
    }
    let before = files(&place);
    begin(&place).await.succeed(&aside(&place)).await.unwrap();
    let after = files(&place);
    // The third file is an index of the second, which each reader creates again.
    for name in &damaged[..2] {
        assert_eq!(after[&name.replace(".db", ".db.old")], before[*name]);
    }
    assert_eq!(after.len(), 4, "{:?}", after.keys());
    assert_eq!(place.open().await.users().await.unwrap(), []);
}

#[tokio::test]
async fn a_store_that_somebody_has_open_stays() {
    let place = Place::sqlite();
    let store = filled(&place).await;
    let refused = begin(&place).await.succeed(&aside(&place)).await.unwrap_err();
    assert!(matches!(refused, BackupError::Database(DatabaseError::Unavailable(_))), "{refused:?}");
    assert!(!aside(&place).exists() && !files(&place).contains_key("tollgate.db.new"));
    assert_eq!(store.users().await.unwrap().len(), 1);
    assert_eq!(place.open().await.users().await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_that_is_not_finished_leaves_the_store_as_it_is() {
    let place = Place::sqlite();
    filled(&place).await.close().await;
    let before = files(&place);
    drop(begin(&place).await);
    assert_eq!(files(&place), before);
}

#[tokio::test]
async fn it_may_be_the_first_of_its_folder() {
    let place = Place::sqlite();
    begin(&place).await.succeed(&aside(&place)).await.unwrap();
    assert_eq!(files(&place).keys().collect::<Vec<_>>(), ["tollgate.db"]);
}

#[tokio::test]
async fn the_log_of_a_store_that_was_moved_away_is_not_read_with_the_first_store() {
    let place = Place::sqlite();
    let other = Place::sqlite();
    let _old = filled(&other).await;
    let log = files(&other).remove("tollgate.db-wal").unwrap();
    assert!(log.len() > 1_000_000);
    std::fs::write(place.folder.path().join("tollgate.db-wal"), &log).unwrap();
    std::fs::write(place.folder.path().join("tollgate.db-shm"), "an index of the log").unwrap();
    begin(&place).await.succeed(&aside(&place)).await.unwrap();
    let after = files(&place);
    assert_eq!(after.keys().collect::<Vec<_>>(), ["tollgate.db", "tollgate.db.old-shm", "tollgate.db.old-wal"]);
    assert_eq!(after["tollgate.db.old-wal"], log);
    assert_eq!(place.open().await.users().await.unwrap(), []);
}
