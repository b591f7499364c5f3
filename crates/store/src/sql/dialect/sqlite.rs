//! SQLite, with one database file in the data folder.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

use super::{LOOKUPS, READERS, SUBJECT_READERS};

/// Maximum time that a writer waits for another process to end its transaction.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// Maximum time to wait for a connection.
const ACQUIRE: Duration = Duration::from_secs(10);
/// Maximum size of the write-ahead log after a checkpoint.
pub(super) const LOG_BYTES_MAX: &str = "67108864";
/// Beyond this size, the log has not restarted from its beginning for a long time. 24 MiB.
const LOG_PAGES_WANTED: i64 = 6_144;
/// A commit that finds more pages in the log copies them itself, with two syncs of 4 ms each. This happens only if
/// `checkpoint` did not run. 64 MiB.
pub(super) const LOG_PAGES_MAX: &str = "16384";
/// Maximum time that a restart of the log waits for readers, twice; no connection writes meanwhile.
const PATIENCE: Duration = Duration::from_millis(8);

/// Opens the one connection that writes: SQLite allows one writer per file, and a queue in the pool is fairer than its
/// busy loop.
pub(crate) async fn writer(file: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = connect(file)
        .journal_mode(SqliteJournalMode::Wal)
        // With a write-ahead log this loses no consistency; a power failure may lose the last transactions. Ingest
        // repeats its lost transactions from the spool, which removes nothing before `sync`.
        .synchronous(SqliteSynchronous::Normal)
        .pragma("journal_size_limit", LOG_BYTES_MAX)
        .pragma("wal_autocheckpoint", LOG_PAGES_MAX)
        // Keeps the undo data of statements with many rows in memory: in a file it is a fifth of ingest's cost (perf).
        .pragma("temp_store", "MEMORY");
    pool(1).connect_with(options).await
}

/// Returns the path of a database's write-ahead log.
pub(crate) fn log(file: &Path) -> PathBuf {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Returns when all earlier commits survive a power failure; blocks until they are on disk. SQLite itself would sync at
/// the commit of a further write, which a full disk refuses, or at a checkpoint, which waits for readers. SQLite holds
/// no lock on the log that closing it here could drop.
pub(super) fn sync(log: &Path) -> io::Result<()> {
    match File::open(log) {
        Ok(log) => log.sync_data(),
        // A checkpoint syncs the database before SQLite removes the log.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Copies the contents of the log into the database file, except pages that a reader still uses, and syncs both. This
/// takes too long for a writer, so no other task waits for it. Returns the number of pages in the log.
pub(super) async fn checkpoint(checkpointer: &SqlitePool) -> Result<i64, sqlx::Error> {
    let (_, pages, _): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(checkpointer).await?;
    Ok(pages)
}

/// Copies the rest while no connection writes, which takes a few milliseconds. SQLite restarts the log at the next
/// write if no connection reads from it. If readers never paused, this function waits for them. The file keeps its
/// size: truncating it takes 30 ms.
pub(super) async fn begin_log_anew(writer: &SqlitePool, checkpointer: &SqlitePool) -> Result<(), sqlx::Error> {
    let turn = Box::pin(writer.acquire()).await?;
    if checkpoint(checkpointer).await? > LOG_PAGES_WANTED {
        sqlx::query("PRAGMA wal_checkpoint(RESTART)").execute(checkpointer).await?;
    }
    drop(turn);
    Ok(())
}

/// Opens the connection for checkpoints when it is first used.
pub(crate) fn checkpointer(file: &Path) -> SqlitePool {
    let options = connect(file).synchronous(SqliteSynchronous::Normal).busy_timeout(PATIENCE);
    pool(1).min_connections(0).connect_lazy_with(options)
}

/// Opens the connections that only read.
pub(crate) async fn readers(file: &Path) -> Result<SqlitePool, sqlx::Error> {
    pool(READERS).connect_with(connect(file).read_only(true)).await
}

/// Opens the read-only connections for look-ups.
pub(crate) async fn lookups(file: &Path) -> Result<SqlitePool, sqlx::Error> {
    pool(LOOKUPS + SUBJECT_READERS).connect_with(connect(file).read_only(true)).await
}

/// Begins a transaction that may write. `IMMEDIATE` takes the lock at once: a transaction that began with a read cannot
/// wait for the lock later.
pub(super) async fn begin(writer: &SqlitePool) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
    // The future contains that of opening a connection: about 29 KB, which each caller's future would contain.
    Box::pin(writer.begin_with("BEGIN IMMEDIATE")).await
}

/// Returns the number that a query of a file yields. The file need not be a database of Tollgate; it stays unchanged.
pub(crate) async fn first_number(file: &Path, question: &'static str) -> Result<i64, sqlx::Error> {
    let mut connection = connect(file).read_only(true).connect().await?;
    let number = sqlx::query_scalar(question).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(number)
}

/// Ends the write-ahead log of a database: from then on its one file contains everything.
pub(crate) async fn end_log(writer: &SqlitePool) -> Result<(), sqlx::Error> {
    sqlx::query("PRAGMA journal_mode = DELETE").execute(writer).await?;
    Ok(())
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
        // A file does not become unreachable as a server does.
        .test_before_acquire(false)
        // If SQLite itself has rolled back (disk full, I/O error, out of memory), sqlx's ROLLBACK fails, and sqlx considers
        // the connection to be in a transaction permanently. No other transaction could begin on it, and one that reads would
        // see an old state.
        .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_whose_rollback_failed_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        // Opening a store creates the file.
        std::fs::File::create(&file).unwrap();
        let writer = writer(&file).await.unwrap();
        let reader = pool(1).connect_with(connect(&file).read_only(true)).await.unwrap();
        for pool in [writer, reader] {
            let mut transaction = pool.begin().await.unwrap();
            // As SQLite itself does on a full disk: sqlx's own ROLLBACK fails afterwards.
            sqlx::raw_sql("ROLLBACK").execute(&mut *transaction).await.unwrap();
            drop(transaction);
            let mut next = pool.begin().await.unwrap();
            let (depth,): (i64,) = sqlx::query_as("SELECT 1").fetch_one(&mut *next).await.unwrap();
            assert_eq!(depth, 1);
            next.rollback().await.unwrap();
        }
    }
}
