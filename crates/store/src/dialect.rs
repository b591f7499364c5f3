//! All that is SQLite's alone. The rest of the crate speaks SQL that PostgreSQL reads too.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Sqlite};

/// The database behind every statement.
pub(crate) type Db = Sqlite;
/// Its pool.
pub(crate) type Pool = sqlx::Pool<Db>;
/// Its transaction.
pub(crate) type Transaction = sqlx::Transaction<'static, Db>;
/// Its bound parameters.
pub(crate) type Arguments = <Db as sqlx::Database>::Arguments;

/// Parameters in one statement: SQLite's default of `SQLITE_MAX_VARIABLE_NUMBER` (PostgreSQL's is 65,535).
pub(crate) const PARAMETERS_MAX: usize = 32_766;

/// A lookup is done in 30 µs: more connections would only cost memory.
pub(crate) const READERS: u32 = 4;

/// How long a writer waits for another process to end its transaction.
const BUSY: Duration = Duration::from_secs(5);
/// How long anybody waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(10);
/// What a checkpoint leaves of the write-ahead log.
const LOG_BYTES_MAX: &str = "67108864";

/// The one connection that writes: SQLite has one writer a file, and a queue in the pool is fairer than its busy loop.
pub(crate) async fn writer(file: &Path) -> Result<Pool, sqlx::Error> {
    let options = connect(file)
        .journal_mode(SqliteJournalMode::Wal)
        // With a write-ahead log this loses no consistency; a power cut may lose the last transactions. Ingested ones
        // the spool then gives again: it removes nothing before `sync`.
        .synchronous(SqliteSynchronous::Normal)
        .pragma("journal_size_limit", LOG_BYTES_MAX)
        // What undoes a statement of many rows stays in memory: in a file it is a fifth of ingest's cost (perf).
        .pragma("temp_store", "MEMORY");
    // Where SQLite itself has rolled back (disk full, I/O error, out of memory), sqlx's ROLLBACK fails, and it takes the
    // connection to be in a transaction for ever: no other begins on it.
    let usable = pool(1).before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }));
    usable.connect_with(options).await
}

/// The write-ahead log of a database.
pub(crate) fn log(file: &Path) -> PathBuf {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Answers when all that was committed before survives a power cut; blocks until the disk has it. SQLite would do so at
/// the commit of a further write, which a full disk refuses, or at a checkpoint, which waits for whoever reads. It holds
/// no lock on this file that closing it here could drop.
pub(crate) fn sync(log: &Path) -> io::Result<()> {
    match File::open(log) {
        Ok(log) => log.sync_data(),
        // A checkpoint syncs the database before the log goes.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Connections that cannot write.
pub(crate) async fn readers(file: &Path) -> Result<Pool, sqlx::Error> {
    pool(READERS).connect_with(connect(file).read_only(true)).await
}

/// A transaction that may write. `IMMEDIATE` takes the lock at once: one that began reading cannot wait for it later.
pub(crate) async fn begin(writer: &Pool) -> Result<Transaction, sqlx::Error> {
    writer.begin_with("BEGIN IMMEDIATE").await
}

/// The `n`-th parameter of a statement with thousands of them. sqlx asks SQLite for the name of each parameter, and
/// SQLite searches a list for it: named ones (`$1`) make that quadratic, `?` has no name.
pub(crate) const fn placeholder(_n: usize) -> &'static str {
    "?"
}

fn connect(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).busy_timeout(BUSY).foreign_keys(true).disable_statement_logging()
}

fn pool(connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE)
        .max_lifetime(None)
        // A file does not go away like a server does.
        .test_before_acquire(false)
}

/// Every table but the migrations' own, with its columns in order.
#[cfg(test)]
pub(crate) const CATALOGUE: &str =
    "SELECT t.name, c.name, c.type, c.pk FROM sqlite_master t JOIN pragma_table_info(t.name) c
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> '_sqlx_migrations' ORDER BY t.name, c.cid";

/// Stands before a statement whose plan is asked for.
#[cfg(test)]
pub(crate) const EXPLAIN: &str = "EXPLAIN QUERY PLAN ";
