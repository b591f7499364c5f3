//! The suite runs on SQLite unless `TOLLGATE_TEST_STORE` is `postgres`; then each test has a database of its own on the server that
//! `TOLLGATE_TEST_POSTGRES` names. A database goes with its server.

use access::{Clock, Ids, Secret};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Whether it runs on PostgreSQL.
pub(crate) fn is_chosen() -> bool {
    match std::env::var("TOLLGATE_TEST_STORE").as_deref() {
        Err(_) | Ok("" | "sqlite") => false,
        Ok("postgres") => true,
        Ok(other) => panic!("TOLLGATE_TEST_STORE is sqlite or postgres, not {other}"),
    }
}

/// Makes a database, empty.
pub(crate) async fn database() -> Secret {
    let server = std::env::var("TOLLGATE_TEST_POSTGRES").unwrap_or_else(|_| {
        panic!("no PostgreSQL: cargo run -p xtask -- postgres env TOLLGATE_TEST_STORE=postgres cargo test -p control")
    });
    let name = format!("control_{}", Ids::new(Clock::system()).next_uuid().simple());
    let mut connection = PgConnection::connect(&server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    Secret::new(format!("{base}/{name}"))
}
