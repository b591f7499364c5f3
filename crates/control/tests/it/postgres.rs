//! The suite runs on SQLite unless `TOLLGATE_TEST_STORE` is `postgres`. Then each test creates a database on the
//! server in `TOLLGATE_TEST_POSTGRES`. The databases are removed together with the server.

use access::{Clock, Ids, Secret};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Whether the suite runs on PostgreSQL.
pub(crate) fn is_chosen() -> bool {
    match std::env::var("TOLLGATE_TEST_STORE").as_deref() {
        Err(_) | Ok("" | "sqlite") => false,
        Ok("postgres") => true,
        Ok(other) => panic!("TOLLGATE_TEST_STORE is sqlite or postgres, not {other}"),
    }
}

/// Creates an empty database and returns its URL. A copy by files takes two thirds of the time of one through the log.
pub(crate) async fn database() -> Secret {
    let server = std::env::var("TOLLGATE_TEST_POSTGRES").unwrap_or_else(|_| {
        panic!("no PostgreSQL: cargo run -p xtask -- postgres env TOLLGATE_TEST_STORE=postgres cargo test -p control")
    });
    let name = format!("control_{}", Ids::new(Clock::system()).next_uuid().simple());
    let mut connection = PgConnection::connect(&server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name} STRATEGY file_copy")))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    Secret::new(format!("{base}/{name}"))
}
