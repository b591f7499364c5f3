//! SQLite: a file in the data folder.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

use super::{LOOKUPS, READERS};

/// How long a writer waits for another process to end its transaction.
const BUSY: Duration = Duration::from_secs(5);
/// How long anybody waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(10);
/// What a checkpoint leaves of the write-ahead log.
const LOG_BYTES_MAX: &str = "67108864";
/// A log that has more was not begun anew for long. 24 MiB.
const LOG_PAGES_WANTED: i64 = 6_144;
/// A commit that finds more pages in the log copies them itself, with two syncs of 4 ms each: only where nobody else did
/// (`checkpoint`). 64 MiB.
const LOG_PAGES_MAX: &str = "16384";
/// How long whoever begins the log anew waits for those who read, twice; nobody writes meanwhile.
const PATIENCE: Duration = Duration::from_millis(8);

/// The one connection that writes: SQLite has one writer a file, and a queue in the pool is fairer than its busy loop.
pub(crate) async fn writer(file: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = connect(file)
        .journal_mode(SqliteJournalMode::Wal)
        // With a write-ahead log this loses no consistency; a power cut may lose the last transactions. Ingested ones
        // the spool then gives again: it removes nothing before `sync`.
        .synchronous(SqliteSynchronous::Normal)
        .pragma("journal_size_limit", LOG_BYTES_MAX)
        .pragma("wal_autocheckpoint", LOG_PAGES_MAX)
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
pub(super) fn sync(log: &Path) -> io::Result<()> {
    match File::open(log) {
        Ok(log) => log.sync_data(),
        // A checkpoint syncs the database before the log goes.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Copies what the log holds into the database's file, but for what somebody still reads from it, and syncs both: for so
/// long that whoever writes shall not do it. Nobody waits for it. How many pages the log has.
pub(super) async fn checkpoint(checkpointer: &SqlitePool) -> Result<i64, sqlx::Error> {
    let (_, pages, _): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(checkpointer).await?;
    Ok(pages)
}

/// Copies the rest while nobody writes, a few milliseconds. SQLite begins the log anew at the next write if nobody reads
/// from it; where there was always somebody, this waits for them. The file keeps its size: to cut it takes 30 ms.
pub(super) async fn begin_log_anew(writer: &SqlitePool, checkpointer: &SqlitePool) -> Result<(), sqlx::Error> {
    let turn = writer.acquire().await?;
    if checkpoint(checkpointer).await? > LOG_PAGES_WANTED {
        sqlx::query("PRAGMA wal_checkpoint(RESTART)").execute(checkpointer).await?;
    }
    drop(turn);
    Ok(())
}

/// The connection for that; it is made when it is needed.
pub(crate) fn checkpointer(file: &Path) -> SqlitePool {
    let options = connect(file).synchronous(SqliteSynchronous::Normal).busy_timeout(PATIENCE);
    pool(1).min_connections(0).connect_lazy_with(options)
}

/// Connections that cannot write.
pub(crate) async fn readers(file: &Path) -> Result<SqlitePool, sqlx::Error> {
    pool(READERS).connect_with(connect(file).read_only(true)).await
}

/// The same for look-ups.
pub(crate) async fn lookups(file: &Path) -> Result<SqlitePool, sqlx::Error> {
    pool(LOOKUPS).connect_with(connect(file).read_only(true)).await
}

/// A transaction that may write. `IMMEDIATE` takes the lock at once: one that began reading cannot wait for it later.
pub(super) async fn begin(writer: &SqlitePool) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
    writer.begin_with("BEGIN IMMEDIATE").await
}

/// The number that a question about a file answers, which need not be a database of ours; the file stays as it is.
pub(crate) async fn first_number(file: &Path, question: &'static str) -> Result<i64, sqlx::Error> {
    let mut connection = connect(file).read_only(true).connect().await?;
    let number = sqlx::query_scalar(question).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(number)
}

/// Ends the write-ahead log of a database: from then on all of it is in its one file.
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
        // A file does not go away like a server does.
        .test_before_acquire(false)
}
