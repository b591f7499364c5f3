use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::UserError;
use crate::fixture::{Place, tell};
use crate::opening::data_folder::{FILE, LOCK};

impl Store {
    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let data = file.join("data");
    let options = Options { url: None, data: &data, migrate: true, clock: Clock::system() };
    let error = Store::open(options).await.unwrap_err();
    assert!(matches!(&error, OpenError::Folder(of) if of.folder.starts_with(&file)), "{error:?}");
    assert!(error.to_string().contains("--data"), "{error}");
}

#[tokio::test]
async fn the_database_and_the_nodes_id_are_their_owners_alone() {
    let place = Place::sqlite();
    let store = place.open().await;
    place.join(&store).await;
    for file in [FILE, LOCK, "tollgate.db-wal", "node"] {
        let mode = std::fs::metadata(place.folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} {mode:o}");
    }
    store.close().await;
}

#[tokio::test]
async fn readers_of_a_file_cannot_write() {
    let place = Place::sqlite();
    let error = place.open().await.query("DELETE FROM plans").run().await.unwrap_err();
    assert!(matches!(error, DatabaseError::ReadOnly(_)));
}

#[tokio::test]
async fn many_may_open_a_new_database_at_once() {
    for place in Place::both_empty().await {
        let (a, b, c) = tokio::join!(place.try_open(), place.try_open(), place.try_open());
        assert!(a.is_ok() && b.is_ok() && c.is_ok(), "{a:?} {b:?} {c:?}");
    }
}

/// Overwrites the file's pages from `first` to `last`, counted from 0.
fn damage(place: &Place, first: usize, last: usize) {
    const PAGE: usize = 4096;
    let path = place.folder.path().join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    let end = (last * PAGE).min(bytes.len());
    bytes[first * PAGE..end].fill(0xa5);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_told_from_a_failing_one() {
    // The first page identifies a database, the second is the root of a table.
    for (first, last) in [(0, 1), (1, usize::MAX >> 13), (0, usize::MAX >> 13)] {
        let place = Place::sqlite();
        place.open().await.close().await;
        damage(&place, first, last);
        let used = async {
            let store = place.try_open().await?;
            store.users().await?;
            store.plans().await?;
            Ok::<_, OpenError>(store.revision().await?)
        };
        let error = used.await.unwrap_err();
        assert!(matches!(error, OpenError::Database(DatabaseError::Damaged(_))), "{first}: {error:?}");
    }
    let place = Place::sqlite();
    std::fs::write(place.folder.path().join(FILE), "this is a text, and a long one at that: no database begins so")
        .unwrap();
    let error = place.try_open().await.unwrap_err();
    assert!(matches!(error, OpenError::Database(DatabaseError::Damaged(_))), "{error:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_any_more_keeps_nothing_half_done() {
    let place = Place::sqlite();
    let store = place.open().await;
    let plan = access::Plan::unlimited("starter");
    store.ensure_plans(std::slice::from_ref(&plan)).await.unwrap();
    let before = store.revision().await.unwrap();
    // A disk that was mounted again read-only: SQLite reports it in the same way.
    let Db::Sqlite { writer, .. } = store.db() else { panic!() };
    sqlx::query("PRAGMA query_only = on").execute(writer).await.unwrap();
    let new = crate::NewUser::member(crate::Email::parse("ada@example.com").unwrap(), "Ada", plan.name.clone());
    let error = store.create_user(&crate::audit::Actor::COMMAND, new.clone()).await.unwrap_err();
    assert!(matches!(error, UserError::Database(DatabaseError::ReadOnly(Some(_)))), "{error:?}");
    assert_eq!((store.users().await.unwrap(), store.revision().await.unwrap()), (Vec::new(), before));
    sqlx::query("PRAGMA query_only = off").execute(writer).await.unwrap();
    assert!(store.create_user(&crate::audit::Actor::COMMAND, new).await.is_ok());
}

#[tokio::test]
async fn a_full_disk_is_told_from_a_store_that_is_away() {
    for place in Place::both().await {
        let store = place.open().await;
        store.ensure_plans(&[access::Plan::unlimited("starter")]).await.unwrap();
        match store.db() {
            // The file may not grow.
            Db::Sqlite { writer, .. } => {
                sqlx::query("PRAGMA max_page_count = 1").execute(writer).await.map(|_| ()).unwrap();
            }
            // The error of PostgreSQL if it cannot extend a file.
            Db::Postgres { .. } => {
                tell(
                    &store,
                    "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
                        'BEGIN RAISE EXCEPTION USING ERRCODE = ''disk_full''; END'",
                )
                .await;
                tell(&store, "CREATE TRIGGER fill BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION fill()").await;
            }
        }
        let mut made = 0;
        let error = loop {
            let address = crate::Email::parse(&format!("{made}@example.com")).unwrap();
            let new = crate::NewUser::member(address, "x".repeat(200), "starter");
            match store.create_user(&crate::audit::Actor::COMMAND, new).await {
                Ok(_) => made += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, UserError::Database(DatabaseError::Full(_))), "{error:?}");
        assert_eq!(store.users().await.unwrap().len(), made, "nothing is kept half");
    }
}
