//! A PostgreSQL database of one test's own, on the server that `TOLLGATE_TEST_POSTGRES` names.

use access::{Clock, Ids, Secret};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The URL of a database on the tests' server.
pub(crate) fn server() -> String {
    std::env::var("TOLLGATE_TEST_POSTGRES").unwrap_or_else(|_| {
        panic!("this test needs PostgreSQL: cargo run -p xtask -- postgres cargo test --workspace --exclude xtask --test it (make test does so)")
    })
}

/// Runs one statement on the tests' server.
pub(crate) async fn tell_server(sql: String) {
    let mut connection = PgConnection::connect(&server()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Makes a database, empty, whose clause of `CREATE DATABASE` may say more; it goes with the server.
pub(crate) async fn database(more: &str) -> Secret {
    let name = format!("tollgate_{}", Ids::new(Clock::system()).next_uuid().simple());
    tell_server(format!("CREATE DATABASE {name} {more}")).await;
    let server = server();
    let (base, _) = server.rsplit_once('/').unwrap();
    Secret::new(format!("{base}/{name}"))
}
