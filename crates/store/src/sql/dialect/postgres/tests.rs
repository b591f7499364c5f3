use access::Secret;

use super::*;
use crate::Store;
use crate::fixture::postgres::database;
use crate::fixture::{Place, tell};

async fn refused(url: Option<Secret>) -> OpenError {
    Place { url, ..Place::sqlite() }.try_open().await.unwrap_err()
}

#[tokio::test]
async fn a_connection_is_waited_for_two_seconds() {
    let place = Place::postgres().await;
    let store = Store::open(place.options(true)).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        held.push(store.begin().await.unwrap());
    }
    let asked = tokio::time::Instant::now();
    let error = store.users().await.unwrap_err();
    assert!(matches!(error, DatabaseError::Unavailable(_)) && !error.is_slow_statement(), "{error:?}");
    assert!((1_900..20_000).contains(&asked.elapsed().as_millis()), "{:?}", asked.elapsed());
    held.clear();
    assert!(store.users().await.is_ok());
}

#[tokio::test]
async fn a_connection_that_is_inside_a_transaction_is_not_used_again() {
    let place = Place::postgres().await;
    let options = options(place.url.as_ref().unwrap().expose()).unwrap();
    let pool = connections(options, 1, Duration::from_secs(5)).await.unwrap();
    for left in ["", "BEGIN", "BEGIN; SELECT 1", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"] {
        let mut connection = pool.acquire().await.unwrap();
        let before = process(&mut connection).await.unwrap();
        sqlx::raw_sql(left).execute(&mut *connection).await.unwrap();
        drop(connection);
        let after = process(&mut pool.acquire().await.unwrap()).await.unwrap();
        assert_eq!(before == after, left.is_empty(), "{left}");
    }
}

#[tokio::test]
async fn statements_and_standing_transactions_have_an_end() {
    let place = Place::postgres().await;
    let store = place.open().await;
    let asked = tokio::time::Instant::now();
    let error = store.query("SELECT pg_sleep(60)").run().await.unwrap_err();
    assert!(matches!(error, DatabaseError::Unavailable(_)) && error.is_slow_statement(), "{error:?}");
    assert!(asked.elapsed() < STATEMENT + Duration::from_secs(15), "{:?}", asked.elapsed());
    let settings =
        "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'),
        current_setting('synchronous_commit')";
    let set: (String, String, String) = store.query(settings).one().await.unwrap();
    assert_eq!((set.0.as_str(), set.1.as_str(), set.2.as_str()), ("5s", "10s", "on"));
}

#[tokio::test]
async fn a_copys_statements_and_commit_may_take_longer() {
    let place = Place::postgres().await;
    let store = place.open().await;
    tell(
        &store,
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(7); RETURN NULL; END'",
    )
    .await;
    tell(
        &store,
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON revision DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
            EXECUTE FUNCTION slow()",
    )
    .await;
    let waiting = async {
        let mut transaction = store.begin_read().await.unwrap();
        transaction.query("SELECT pg_sleep(7)").run().await
    };
    let committing = async {
        let mut transaction = store.begin().await.unwrap();
        transaction.without_time_limit().await.unwrap();
        crate::revision::raise(&mut transaction, 1).await.unwrap();
        transaction.commit().await
    };
    let (waited, committed) = tokio::join!(waiting, committing);
    assert!(waited.is_ok() && committed.is_ok(), "{waited:?} {committed:?}");
    assert_eq!(store.revision().await.unwrap(), 1);
}

#[tokio::test]
async fn transactions_are_read_committed_whatever_the_database_says() {
    let place = Place::postgres().await;
    set(&place.open().await, &place, "default_transaction_isolation = 'serializable'").await;
    let mut transaction = place.open().await.begin().await.unwrap();
    let (isolation,): (String,) =
        transaction.query("SELECT current_setting('transaction_isolation')").one().await.unwrap();
    assert_eq!(isolation, "read committed");
}

async fn set(store: &Store, place: &Place, setting: &str) {
    let url = place.url.as_ref().unwrap().expose();
    let (_, name) = url.rsplit_once('/').unwrap();
    let mut transaction = store.begin().await.unwrap();
    let alter = sqlx::AssertSqlSafe(format!("ALTER DATABASE {name} SET {setting}"));
    transaction.query(alter).run().await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn commits_reach_the_disk_where_the_server_would_not_wait() {
    let place = Place::postgres().await;
    set(&place.open().await, &place, "synchronous_commit = off").await;
    let store = place.open().await;
    let (commit,): (String,) = store.query("SELECT current_setting('synchronous_commit')").one().await.unwrap();
    assert_eq!(commit, "on");
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_refused() {
    let place = Place::postgres().await;
    let before = place.open().await;
    set(&before, &place, "default_transaction_read_only = on").await;
    let error = place.try_open().await.unwrap_err();
    assert!(matches!(error, OpenError::Database(DatabaseError::ReadOnly(_))), "{error:?}");
    // New connections to a running server cannot write from now on.
    let pool = pool(options(place.url.as_ref().unwrap().expose()).unwrap(), ACQUIRE).await.unwrap();
    let error = DatabaseError::from(sqlx::query("DELETE FROM plans").execute(&pool).await.unwrap_err());
    assert!(matches!(error, DatabaseError::ReadOnly(Some(_))), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_cannot_write_serves_one_statement() {
    let place = Place::postgres().await;
    place.open().await;
    let options = options(place.url.as_ref().unwrap().expose()).unwrap();
    let read_only = options.clone().options([("default_transaction_read_only", "on")]);
    let pool = pool(read_only, ACQUIRE).await.unwrap();
    let write = async || sqlx::query("DELETE FROM plans").execute(&pool).await.map_err(DatabaseError::from);
    let error = write().await.unwrap_err();
    assert!(matches!(error, DatabaseError::ReadOnly(Some(_))), "{error:?}");
    for _ in 0..3 {
        sqlx::query("SELECT name FROM plans").execute(&pool).await.unwrap();
    }
    // After a fail-over, new connections reach another server.
    pool.set_connect_options(options);
    write().await.unwrap();
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let url = database(&format!("ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'")).await;
        let error = refused(Some(url)).await;
        assert!(matches!(&error, OpenError::Encoding { found } if found == encoding), "{error:?}");
        assert!(error.to_string().contains("ENCODING 'UTF8'"), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_url_of_a_server_or_of_none_is_told() {
    let there = database("").await;
    let (base, _) = there.expose().rsplit_once('/').unwrap();
    let nobody = there.expose().replace("//postgres@", "//nobody:S3CRET@");
    type Kind = fn(&OpenError) -> bool;
    let cases: [(String, Kind); 6] = [
        ("mysql://u:S3CRET@h/d".to_owned(), |error| matches!(error, OpenError::Url)),
        ("S3CRET".to_owned(), |error| matches!(error, OpenError::Url)),
        ("postgres://u:S3CRET@h:port/d".to_owned(), |error| matches!(error, OpenError::Url)),
        ("postgres://u:S3CRET@127.0.0.1:1/d".to_owned(), |error| {
            matches!(error, OpenError::Database(DatabaseError::Unavailable(_)))
        }),
        (format!("{base}/there_is_none"), |error| matches!(error, OpenError::Database(DatabaseError::Forbidden(_)))),
        (nobody, |error| matches!(error, OpenError::Database(DatabaseError::Forbidden(_)))),
    ];
    for (url, is) in cases {
        let error = refused(Some(Secret::new(url.clone()))).await;
        assert!(is(&error), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("S3CRET"), "{error:?}");
    }
}
