use std::collections::BTreeSet;

use super::*;
use crate::Store;
use crate::fixture::catalogue;
use crate::fixture::{Place, tell};
use crate::sql::StoreKind;

type Columns = Vec<(String, String, String, bool)>;

async fn columns(store: &Store) -> Columns {
    store.query(catalogue(store.kind())).all().await.unwrap()
}

#[tokio::test]
async fn migrations_go_up_down_and_up() {
    for place in Place::both_empty().await {
        let options = place.options(true);
        let known = status(&options).await.unwrap().known();
        assert_eq!(up(&options).await.unwrap(), (1..=known).collect::<Vec<_>>());
        assert_eq!(up(&options).await.unwrap(), Vec::<i64>::new());
        let store = place.open().await;
        let made = columns(&store).await;
        assert!(made.len() > 100);
        for version in (1..=known).rev() {
            let newest = undo(&options).await.unwrap().unwrap();
            assert_eq!(newest.version, version);
            assert!(!down(&options, version - 1).await.unwrap() && !down(&options, version + 1).await.unwrap());
            assert!(down(&options, version).await.unwrap());
        }
        assert_eq!(undo(&options).await.unwrap(), None);
        assert!(!down(&options, 0).await.unwrap());
        assert_eq!(columns(&store).await, Columns::new());
        let empty = status(&options).await.unwrap();
        assert_eq!((empty.found(), empty.floor, empty.steps.iter().any(|step| step.applied)), (0, 0, false));
        up(&options).await.unwrap();
        assert_eq!(columns(&store).await, made);
    }
}

#[tokio::test]
async fn an_undo_counts_the_rows_of_all_that_it_drops() {
    for place in Place::both().await {
        let store = place.open().await;
        let tables: BTreeSet<String> = columns(&store).await.into_iter().map(|(table, ..)| table).collect();
        store.ensure_plans(&[access::Plan::unlimited("a"), access::Plan::unlimited("b")]).await.unwrap();
        store.close().await;
        let options = place.options(true);
        let mut counted = std::collections::BTreeMap::new();
        while let Some(newest) = undo(&options).await.unwrap() {
            assert!(!newest.name.is_empty());
            counted.extend(newest.losses);
            assert!(down(&options, newest.version).await.unwrap());
        }
        let dropped: BTreeSet<String> = counted.keys().filter(|what| !what.contains('.')).cloned().collect();
        assert_eq!(dropped, tables);
        assert_eq!((counted["plans"], counted["users"]), (2, 0));
    }
}

#[test]
fn statements_that_delete_are_understood() {
    let check =
        |statement, table, column, rows| assert_eq!(loss(statement), Some(Loss { table, column, rows }), "{statement}");
    check("DROP TABLE users", "users", None, "");
    check("\n-- Why.\nALTER TABLE users\n    DROP COLUMN name", "users", Some("name"), "");
    check("\nDELETE FROM users WHERE no = 0", "users", None, "WHERE no = 0");
    for kept in ["", "DROP INDEX users_by_name", "ALTER TABLE users ADD COLUMN x BIGINT", "DROP FUNCTION f"] {
        assert_eq!(loss(kept), None, "{kept}");
    }
    // A migration that deletes in another way must be recognised as well.
    for migrator in [&SQLITE, &POSTGRES] {
        for down in migrator.iter().filter(|known| known.migration_type.is_down_migration()) {
            let sql = down.sql.as_str();
            let deletes = ["DROP TABLE", "DROP COLUMN", "DELETE FROM", "TRUNCATE"];
            let deletes: usize = deletes.iter().map(|words| sql.matches(words).count()).sum();
            assert_eq!(dropped(migrator, down.version).count(), deletes, "{}", down.version);
        }
    }
}

/// Returns the file names of one database's migrations.
fn files(database: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_migration_is_there_for_both_databases_and_goes_both_ways() {
    let sqlite = files("sqlite");
    let postgres = files("postgres");
    assert_eq!(sqlite, postgres);
    let of = |end: &str| -> Vec<&str> { sqlite.iter().filter_map(|file| file.strip_suffix(end)).collect() };
    assert_eq!(of(".up.sql"), of(".down.sql"));
    assert_eq!(of(".up.sql").len() * 2, sqlite.len());
    let asked = ["001_create_plans", "002_create_users", "003_create_api_keys", "004_create_daily_usage"];
    assert_eq!(of(".up.sql").get(..4), Some(asked.as_slice()));
    for (no, name) in (1..).zip(of(".up.sql")) {
        let is_named = ["create", "extend"].iter().any(|verb| name.starts_with(&format!("{no:03}_{verb}_")));
        assert!(is_named, "{name}");
    }
}

#[tokio::test]
async fn sqlite_and_postgres_have_the_same_tables_and_columns() {
    let sqlite = Place::sqlite();
    let postgres = Place::postgres().await;
    let sqlite = columns(&sqlite.open().await).await;
    let postgres = columns(&postgres.open().await).await;
    // A `BLOB` of SQLite is one of two types on PostgreSQL.
    let named = |kind: &str, column: &str| match kind {
        "BYTEA" => ("BLOB".to_owned(), column != "id" && !column.ends_with("_id")),
        "UUID" => ("BLOB".to_owned(), column == "id" || column.ends_with("_id")),
        other => (other.to_owned(), true),
    };
    let postgres: Columns = postgres
        .into_iter()
        .map(|(table, column, kind, key)| {
            let (kind, fits) = named(&kind, &column);
            assert!(fits, "{table}.{column} is {kind}");
            (table, column, kind, key)
        })
        .collect();
    assert_eq!(sqlite, postgres);
}

#[tokio::test]
async fn every_table_has_id_created_at_and_updated_at() {
    for place in Place::both().await {
        let store = place.open().await;
        let columns = columns(&store).await;
        let mut tables: Vec<&str> = columns.iter().map(|(table, ..)| table.as_str()).collect();
        tables.dedup();
        assert!(tables.len() > 10, "{tables:?}");
        let id = if store.kind() == StoreKind::Sqlite { "BLOB" } else { "UUID" };
        for table in tables {
            let has = |name: &str, kind: &str, key: bool| {
                let is = |(of, column, is, primary): &(String, String, String, bool)| {
                    (of.as_str(), column.as_str(), is.as_str(), *primary) == (table, name, kind, key)
                };
                columns.iter().any(is)
            };
            assert!(has("id", id, true), "{table}.id");
            assert!(has("created_at", "BIGINT", false) && has("updated_at", "BIGINT", false), "{table}");
            assert_eq!(columns.iter().filter(|(of, _, _, key)| of == table && *key).count(), 1, "{table}");
        }
    }
}

/// Makes the database appear migrated by a newer version.
async fn migrated_by_a_newer_one(place: &Place, floor: i64) {
    let store = place.open().await;
    let bytes = if store.kind() == StoreKind::Sqlite { "x'00'" } else { "'\\x00'" };
    tell(
        &store,
        &format!(
            "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
             VALUES (999, 'of the future', CURRENT_TIMESTAMP, true, {bytes}, 0)"
        ),
    )
    .await;
    tell(&store, &format!("UPDATE schema_floor SET version = {floor}")).await;
    store.close().await;
}

#[tokio::test]
async fn a_database_that_is_ahead_is_worked_on_while_nothing_is_taken_away() {
    for place in Place::both().await {
        migrated_by_a_newer_one(&place, 1).await;
        let store = place.try_open().await.unwrap();
        assert_eq!(store.users().await.unwrap(), []);
        assert!(Store::open(place.options(false)).await.is_ok());
        assert_eq!(up(&place.options(true)).await.unwrap(), Vec::<i64>::new());
        let status = status(&place.options(true)).await.unwrap();
        assert_eq!((status.found(), status.known() < 999, status.floor), (999, true, 1));
        assert_eq!(status.steps.last(), Some(&Step { version: 999, name: None, applied: true }));
    }
}

#[tokio::test]
async fn a_database_that_is_too_far_ahead_is_refused_and_left_alone() {
    for place in Place::both().await {
        migrated_by_a_newer_one(&place, 999).await;
        for refused in [
            place.try_open().await.map(|_| ()).map_err(UndoError::Open),
            up(&place.options(true)).await.map(|_| ()).map_err(UndoError::Open),
            undo(&place.options(true)).await.map(|_| ()),
            down(&place.options(true), 999).await.map(|_| ()),
        ] {
            let Err(UndoError::Open(OpenError::Newer(newer))) = refused else { panic!("{refused:?}") };
            assert!(newer.found == 999 && newer.known < 999, "{newer:?}");
        }
        assert_eq!(status(&place.options(true)).await.unwrap().found(), 999);
    }
}

#[tokio::test]
async fn without_migrate_an_old_database_is_refused() {
    for place in Place::both_empty().await {
        let error = Store::open(place.options(false)).await.unwrap_err();
        assert!(matches!(error, OpenError::Older { found: 0, known } if known > 0), "{error:?}");
        place.open().await.close().await;
        assert!(Store::open(place.options(false)).await.is_ok());
    }
}

#[tokio::test]
async fn nothing_is_undone_while_a_server_runs() {
    for place in Place::both().await {
        let options = crate::Options { clock: access::Clock::system(), ..place.options(true) };
        let store = Store::open(options).await.unwrap();
        let node = place.join(&store).await;
        let lock = std::fs::File::create(place.folder.path().join(SERVER_LOCK)).unwrap();
        lock.lock().unwrap();
        let options = place.options(true);
        let beating = async {
            loop {
                node.report().await.unwrap();
                tokio::time::sleep(crate::nodes::node::BEAT).await;
            }
        };
        tokio::select! {
            () = beating => unreachable!(),
            refused = down(&options, 1) => {
                assert!(matches!(refused, Err(UndoError::Running(RunningServers { servers: 1 }))), "{refused:?}");
            }
        }
        assert_eq!(store.users().await.unwrap(), []);
        node.leave(true).await.unwrap();
        lock.unlock().unwrap();
        assert!(down(&options, undo(&options).await.unwrap().unwrap().version).await.unwrap());
    }
}

#[tokio::test]
async fn nothing_is_undone_while_a_successor_runs() {
    let place = Place::sqlite();
    place.open().await.close().await;
    let folder = place.folder.path().join(SUCCESSOR);
    std::fs::create_dir(&folder).unwrap();
    let lock = std::fs::File::create(folder.join(SERVER_LOCK)).unwrap();
    lock.lock().unwrap();
    let options = place.options(true);
    let refused = down(&options, 1).await;
    assert!(matches!(refused, Err(UndoError::Running(RunningServers { servers: 1 }))), "{refused:?}");
    lock.unlock().unwrap();
    assert!(down(&options, undo(&options).await.unwrap().unwrap().version).await.unwrap());
}

#[tokio::test]
async fn a_postgres_that_writes_without_a_pause_runs() {
    let place = Place::postgres().await;
    let options = crate::Options { clock: access::Clock::system(), ..place.options(true) };
    let store = Store::open(options).await.unwrap();
    let node = place.join(&store).await;
    // Batches for which the beat waits: many short ones, and one that takes longer than beats are observed.
    for millis in [500, 9_000] {
        let batches = async {
            loop {
                let mut batch = store.begin_bulk().await.unwrap();
                node.hold(&mut batch).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
                batch.commit().await.unwrap();
            }
        };
        let options = place.options(true);
        let refused = tokio::select! {
            () = batches => unreachable!(),
            refused = undo(&options) => refused,
        };
        assert!(matches!(refused, Err(UndoError::Running(RunningServers { servers: 1 }))), "{millis}: {refused:?}");
    }
}
