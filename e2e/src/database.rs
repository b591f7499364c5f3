//! The database of a server: SQLite in its data folder, or a separate database on a PostgreSQL server.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ColumnIndex, ConnectOptions, Connection, Decode, Executor, Row, Type};

/// The variable that selects the store of the suite: `sqlite` (the default) or `postgres`.
const STORE: &str = "TOLLGATE_TEST_STORE";
/// The variable with the URL of a PostgreSQL server on which databases may be created.
const POSTGRES: &str = "TOLLGATE_TEST_POSTGRES";

/// The database file in a data folder.
const FILE: &str = "tollgate.db";

/// A database on PostgreSQL; dropping the value drops the database.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

/// A row of `usage_events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The request id, in lowercase hex without dashes.
    pub id: String,
    /// The status code that the client received.
    pub status: i64,
    /// The outcome of the request.
    pub outcome: String,
    /// The columns of [`COLUMNS`] by name: numbers, strings or null.
    pub row: Value,
}

/// The columns that are read of an event: name and SQL expression, all as text.
pub const COLUMNS: [(&str, &str); 30] = [
    ("status", "CAST(e.status AS TEXT)"),
    ("outcome", "e.outcome"),
    ("format", "e.format"),
    ("model", "asked.name"),
    ("provider", "provider.name"),
    ("provider_model", "sent.name"),
    ("answered_model", "answered.name"),
    ("streamed", "CASE WHEN e.streamed THEN '1' ELSE '0' END"),
    // Whole credits, rounded down.
    ("credits", "CAST(e.credits / 1000000 AS TEXT)"),
    ("attempts", "CAST(e.attempts AS TEXT)"),
    ("upstream_status", "CAST(e.upstream_status AS TEXT)"),
    ("request_bytes", "CAST(e.request_bytes AS TEXT)"),
    ("response_bytes", "CAST(e.response_bytes AS TEXT)"),
    ("usage_source", "e.usage_source"),
    ("input", "CAST(e.input_tokens AS TEXT)"),
    ("cached_input", "CAST(e.cached_input_tokens AS TEXT)"),
    ("cache_write_short", "CAST(e.cache_write_short_tokens AS TEXT)"),
    ("cache_write_long", "CAST(e.cache_write_long_tokens AS TEXT)"),
    ("output", "CAST(e.output_tokens AS TEXT)"),
    ("reasoning", "CAST(e.reasoning_tokens AS TEXT)"),
    ("audio_input", "CAST(e.audio_input_tokens AS TEXT)"),
    ("image_input", "CAST(e.image_input_tokens AS TEXT)"),
    ("audio_output", "CAST(e.audio_output_tokens AS TEXT)"),
    ("image_output", "CAST(e.image_output_tokens AS TEXT)"),
    ("billed_unit", "e.billed_unit"),
    ("billed_quantity", "CAST(e.billed_quantity AS TEXT)"),
    ("searches", "CAST(e.searches AS TEXT)"),
    ("containers", "CAST(e.containers AS TEXT)"),
    ("cost_nano", "CAST(e.cost_nano AS TEXT)"),
    ("cost_unknown", "e.cost_unknown"),
];

/// Returns whether the suite runs on PostgreSQL.
#[must_use]
pub fn on_postgres() -> bool {
    match std::env::var(STORE).as_deref() {
        Err(_) | Ok("" | "sqlite") => false,
        Ok("postgres") => true,
        Ok(other) => panic!("{STORE} must be sqlite or postgres, not {other}"),
    }
}

fn shared_server() -> String {
    let Ok(server) = std::env::var(POSTGRES) else {
        panic!("{POSTGRES} is not set: cargo run -p xtask -- postgres COMMAND starts a server")
    };
    server
}

impl Database {
    /// Creates a database on the server that `TOLLGATE_TEST_POSTGRES` names. It is a copy of `template1`, to which
    /// `xtask test` applies all migrations.
    #[must_use]
    pub fn new() -> Self {
        Self::create_on(shared_server())
    }

    /// Like [`Database::new`], without tables.
    #[must_use]
    pub fn empty() -> Self {
        Self::copy_of("template0", shared_server())
    }

    /// Creates a database on the server at this URL, whose user may create databases.
    #[must_use]
    pub fn create_on(server: String) -> Self {
        Self::copy_of("template1", server)
    }

    fn copy_of(template: &str, server: String) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let name = format!("e2e_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let database = Self { server, name };
        // Takes two thirds of the time of a copy through the log, without syncs.
        database.on_the_server(format!("CREATE DATABASE {} TEMPLATE {template} STRATEGY file_copy", database.name));
        database
    }

    /// Returns the value for `DATABASE_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').unwrap_or((&self.server, ""));
        format!("{server}/{}", self.name)
    }

    /// Like [`Database::url`], with the address of a relay in place of the server's.
    #[must_use]
    pub fn url_by(&self, way: std::net::SocketAddr) -> String {
        self.url().replacen(self.host(), &way.to_string(), 1)
    }

    /// Returns `HOST:PORT` of the server.
    #[must_use]
    pub fn host(&self) -> &str {
        let (_, rest) = self.server.split_once("://").unwrap_or_default();
        let authority = rest.split('/').next().unwrap_or_default();
        authority.rsplit('@').next().unwrap_or_default()
    }

    /// Closes every connection to the database, as a restart of the server would.
    pub fn cut(&self) {
        let name = &self.name;
        self.on_the_server(format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
    }

    /// Runs on a separate thread: tests already have a runtime, and `Drop` cannot await.
    fn on_the_server(&self, statement: String) {
        let server = self.server.clone();
        let done = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let run = async {
                let mut connection = PgConnection::connect(&server).await?;
                connection.execute(sqlx::AssertSqlSafe(statement)).await?;
                connection.close().await
            };
            runtime.map_err(sqlx::Error::from).and_then(|runtime| runtime.block_on(run))
        });
        match done.join() {
            Ok(Ok(())) => {}
            failed => panic!("PostgreSQL: {failed:?}"),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.on_the_server(format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

/// Returns the path of the `SQLite` file in a data folder. The file is not opened here: closing it would release
/// the locks of all connections of this process (POSIX), and the server would overwrite pages that they still read.
#[must_use]
pub fn file(data: &Path) -> PathBuf {
    data.join(FILE)
}

/// Reads the rows of a store while its server runs.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// The data folder of the server.
    pub data: &'a Path,
    /// The PostgreSQL database; `None` means the SQLite file in the data folder.
    pub database: Option<&'a Database>,
}

/// An open connection that reads the rows of a store while its server runs.
#[derive(Debug)]
pub enum RowsConnection {
    /// To the SQLite file.
    Sqlite(SqliteConnection),
    /// To the PostgreSQL database.
    Postgres(PgConnection),
}

impl RowsConnection {
    /// Returns the first column of the query's only row, as a number.
    pub async fn number(&mut self, query: &'static str) -> i64 {
        let number: Result<i64, sqlx::Error> = match self {
            Self::Postgres(connection) => {
                // PostgreSQL returns a sum of integers as NUMERIC.
                let query = format!("SELECT ({query})::bigint");
                sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(connection).await
            }
            Self::Sqlite(connection) => sqlx::query_scalar(query).fetch_one(connection).await,
        };
        number.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// Returns the usage events, ordered by their ids.
    pub async fn events(&mut self) -> Vec<EventRow> {
        let rows = match self {
            Self::Postgres(connection) => {
                let query = select("encode(uuid_send(e.id), 'hex')");
                let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(connection).await;
                rows.map(|rows| rows.iter().map(event).collect())
            }
            Self::Sqlite(connection) => {
                let query = select("lower(hex(e.id))");
                let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(connection).await;
                rows.map(|rows| rows.iter().map(event).collect())
            }
        };
        rows.unwrap_or_else(|error| panic!("usage_events: {error}"))
    }
}

/// A SQLite database with a write lock, so that no other connection can write.
#[derive(Debug)]
pub struct WriteLock(SqliteConnection);

impl WriteLock {
    /// Releases the write lock, so that other connections can write.
    pub async fn give_up(self) {
        let closed = self.0.close().await;
        assert!(closed.is_ok(), "{closed:?}");
    }
}

impl Rows<'_> {
    /// Opens a connection for many queries: PostgreSQL starts a process for each, and every other function opens its own.
    pub async fn connect(&self) -> RowsConnection {
        match self.database {
            Some(database) => RowsConnection::Postgres(postgres(database).await),
            None => RowsConnection::Sqlite(self.sqlite().await),
        }
    }

    /// Returns the first column of the query's only row, as a number.
    pub async fn number(&self, query: &'static str) -> i64 {
        self.connect().await.number(query).await
    }

    /// Returns the result of SQLite's integrity check: `ok`, or the damage. PostgreSQL always returns `ok`.
    pub async fn integrity(&self) -> String {
        if self.database.is_some() {
            return "ok".to_owned();
        }
        let reported = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut self.sqlite().await).await;
        reported.unwrap_or_else(|error| panic!("integrity_check: {error}"))
    }

    /// Changes rows with the statement of the database in use.
    pub async fn execute(&self, on_sqlite: &str, on_postgres: &str) {
        let statement = |text: &str| sqlx::AssertSqlSafe(text.to_owned());
        let done = match self.database {
            Some(database) => postgres(database).await.execute(statement(on_postgres)).await.map(|_| ()),
            None => {
                let options = SqliteConnectOptions::new().filename(file(self.data));
                let mut connection = options.connect().await.unwrap_or_else(|error| panic!("SQLite: {error}"));
                connection.execute(statement(on_sqlite)).await.map(|_| ())
            }
        };
        done.unwrap_or_else(|error| panic!("{on_sqlite}: {error}"));
    }

    /// Locks the SQLite database: no other connection writes until the lock is released.
    pub async fn hold(&self) -> WriteLock {
        let mut connection = SqliteConnectOptions::new().filename(file(self.data)).connect().await;
        if let Ok(connection) = &mut connection
            && let Err(error) = connection.execute("BEGIN IMMEDIATE").await
        {
            panic!("SQLite: {error}");
        }
        WriteLock(connection.unwrap_or_else(|error| panic!("SQLite: {error}")))
    }

    /// Returns the usage events, ordered by their ids.
    pub async fn events(&self) -> Vec<EventRow> {
        self.connect().await.events().await
    }

    async fn sqlite(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(file(self.data)).read_only(true);
        options.connect().await.unwrap_or_else(|error| panic!("SQLite: {error}"))
    }
}

async fn postgres(database: &Database) -> PgConnection {
    let options = database.url().parse::<PgConnectOptions>();
    let connected = match options {
        Ok(options) => options.connect().await,
        Err(error) => Err(error),
    };
    connected.unwrap_or_else(|error| panic!("PostgreSQL: {error}"))
}

fn select(id: &str) -> String {
    let columns: String = COLUMNS.iter().map(|(_, column)| format!(", {column}")).collect();
    let name = |table: &str, column: &str| format!(" LEFT JOIN names {table} ON {table}.no = e.{column}");
    let joins = [
        name("asked", "model_no"),
        name("provider", "provider_no"),
        name("sent", "provider_model_no"),
        name("answered", "answered_model_no"),
    ];
    format!("SELECT {id} AS event{columns} FROM usage_events e{} ORDER BY 1", joins.concat())
}

fn event<'r, R>(read: &'r R) -> EventRow
where
    R: Row,
    usize: ColumnIndex<R>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    let text = |at: usize| read.get::<Option<String>, _>(at);
    let value = |text: String| text.parse::<i64>().map_or(Value::String(text), Value::from);
    let columns = COLUMNS.iter().enumerate().map(|(at, (name, _))| {
        let name = (*name).to_owned();
        (name, text(at + 1).map_or(Value::Null, value))
    });
    let row = Value::Object(columns.collect::<Map<String, Value>>());
    let status = row["status"].as_i64();
    let outcome = row["outcome"].as_str().map(str::to_owned);
    EventRow { id: text(0).unwrap_or_default(), status: status.unwrap_or(0), outcome: outcome.unwrap_or_default(), row }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use sqlx::sqlite::SqliteJournalMode;

    use super::*;

    /// SQLite ends the write-ahead log only if no other process has a lock on the file.
    const END_LOG: &str = "import sqlite3, sys
sqlite3.connect(sys.argv[1], timeout=0).execute('PRAGMA journal_mode = DELETE')";

    #[tokio::test]
    async fn opening_a_connection_keeps_the_locks_of_the_others() {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join(FILE);
        let new = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let mut writer = new.journal_mode(SqliteJournalMode::Wal).connect().await.unwrap();
        writer.execute("CREATE TABLE one (number INTEGER)").await.unwrap();
        let rows = Rows { data: data.path(), database: None };
        assert_eq!(rows.number("SELECT count(*) FROM one").await, 0);
        let ended = Command::new("python3").args(["-c", END_LOG]).arg(&file).output().unwrap();
        let reported = String::from_utf8_lossy(&ended.stderr);
        assert!(reported.contains("database is locked"), "{ended:?}");
    }
}
