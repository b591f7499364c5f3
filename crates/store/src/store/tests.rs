use std::os::unix::fs::PermissionsExt;

use access::Timestamp;

use super::*;

/// A store in a folder of its own.
pub(crate) async fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = reopen(folder.path()).await.unwrap();
    (folder, store)
}

pub(crate) async fn reopen(data: &Path) -> Result<Store, StoreError> {
    let clock = Clock::manual(Timestamp(1_800_000_000_000_000));
    Store::open(Options { data, migrate: true, clock }).await
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = reopen(&file.join("data")).await.unwrap_err();
    assert!(matches!(&error, StoreError::Folder { folder, .. } if folder.starts_with(&file)), "{error:?}");
    assert!(error.to_string().contains("--data"), "{error}");
}

#[tokio::test]
async fn the_database_is_its_owners_alone() {
    let (folder, store) = open().await;
    for file in [FILE, LOCK, "tollgate.db-wal"] {
        let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} {mode:o}");
    }
    store.close().await;
}

#[tokio::test]
async fn readers_cannot_write() {
    let (_folder, store) = open().await;
    let written = sqlx::query("DELETE FROM plans").execute(store.readers()).await;
    assert!(written.is_err());
}

#[tokio::test]
async fn many_may_open_a_new_folder_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, c) = tokio::join!(reopen(folder.path()), reopen(folder.path()), reopen(folder.path()));
    assert!(a.is_ok() && b.is_ok() && c.is_ok(), "{a:?} {b:?} {c:?}");
}
