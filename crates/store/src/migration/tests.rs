use access::{Clock, Timestamp};

use super::*;
use crate::dialect::{self, CATALOGUE};
use crate::store::tests::{open, reopen};
use crate::{Options, Store};

type Columns = Vec<(String, String, String, i64)>;

async fn columns(pool: &Pool) -> Columns {
    sqlx::query_as(CATALOGUE).fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn migrations_go_up_down_and_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty.db");
    std::fs::write(&file, "").unwrap();
    let writer = dialect::writer(&file).await.unwrap();
    MIGRATOR.run(&writer).await.unwrap();
    let up = columns(&writer).await;
    assert!(!up.is_empty());
    MIGRATOR.undo(&writer, 0).await.unwrap();
    assert_eq!(columns(&writer).await, Columns::new());
    MIGRATOR.run(&writer).await.unwrap();
    assert_eq!(columns(&writer).await, up);
}

#[test]
fn every_migration_goes_both_ways() {
    let ups = MIGRATOR.iter().filter(|migration| migration.migration_type.is_up_migration());
    for up in ups {
        let down =
            |other: &&sqlx::migrate::Migration| other.version == up.version && other.migration_type.is_down_migration();
        assert!(MIGRATOR.iter().find(down).is_some(), "{} {}", up.version, up.description);
    }
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    let (folder, store) = open().await;
    let mut transaction = store.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
         VALUES (999, 'of the future', 0, true, x'00', 0)",
    )
    .execute(&mut *transaction)
    .await
    .unwrap();
    transaction.commit().await.unwrap();
    store.close().await;
    let error = reopen(folder.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 999, known } if known < 999), "{error:?}");
}

#[tokio::test]
async fn without_migrate_an_old_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        |migrate| Options { data: folder.path(), migrate, clock: Clock::manual(Timestamp(1_800_000_000_000_000)) };
    let error = Store::open(options(false)).await.unwrap_err();
    assert!(matches!(error, StoreError::Older { found: 0, known } if known > 0), "{error:?}");
    Store::open(options(true)).await.unwrap().close().await;
    assert!(Store::open(options(false)).await.is_ok());
}
