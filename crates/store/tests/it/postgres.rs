//! A PostgreSQL database for one test, on the server that `TOLLGATE_TEST_POSTGRES` names.

use access::{Clock, Ids, Secret};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Returns the URL of a database on the tests' server.
pub(crate) fn server() -> String {
    std::env::var("TOLLGATE_TEST_POSTGRES").unwrap_or_else(|_| {
        panic!("this test needs PostgreSQL: cargo run -p xtask -- postgres cargo test --workspace --test it (make test does so)")
    })
}

/// Runs one statement on the tests' server.
pub(crate) async fn tell_server(sql: String) {
    let mut connection = PgConnection::connect(&server()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Creates an empty database, with additional clauses of `CREATE DATABASE`. It is deleted with the server. A copy by files
/// takes two thirds of the time of one through the log.
pub(crate) async fn database(more: &str) -> Secret {
    let name = format!("tollgate_{}", Ids::new(Clock::system()).next_uuid().simple());
    tell_server(format!("CREATE DATABASE {name} STRATEGY file_copy {more}")).await;
    let server = server();
    let (base, _) = server.rsplit_once('/').unwrap();
    Secret::new(format!("{base}/{name}"))
}
