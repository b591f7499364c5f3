//! The connection that writes batches of ingest to a SQLite file: by rusqlite, on the caller's thread
//! (docs/decisions/0032-rusqlite-for-ingest.md).
//!
//! A batch takes its turn in the pool of the writing connection of sqlx, so only one of the two connections writes, and
//! the queue of the pool serves all writers in turn.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags};
use sqlx::error::ErrorKind;
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqlitePool};

use super::rows::Cell;
use super::sqlite::{BUSY, LOG_BYTES_MAX, LOG_PAGES_MAX};

/// Maximum number of prepared statements: those of ingest.
const STATEMENTS_MAX: usize = 96;
/// Maximum size of the connection's page cache in KiB. A batch that changes more pages writes some of them twice.
const CACHE_KIB: i64 = 8_192;

/// Keeps the connection between batches, and opens another one after an error.
#[derive(Debug)]
pub(crate) struct FileWriter {
    file: PathBuf,
    idle: Mutex<Option<Connection>>,
}

/// A transaction of the connection. Dropping it closes the connection, which rolls the transaction back.
#[derive(Debug)]
pub(crate) struct FileTransaction {
    /// Declared before the turn, so that the next writer begins after this transaction has ended.
    connection: Connection,
    writer: Arc<FileWriter>,
    turn: PoolConnection<Sqlite>,
}

impl FileWriter {
    /// Opens the connection, as the others are opened: a file that cannot be opened is reported at the start.
    pub(crate) fn new(file: &Path) -> Result<Arc<Self>, sqlx::Error> {
        let writer = Self { file: file.to_owned(), idle: Mutex::new(None) };
        let connection = writer.open().map_err(fault)?;
        *writer.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        Ok(Arc::new(writer))
    }

    /// Begins a transaction when no other connection writes. This function and the transaction block the thread.
    pub(crate) async fn begin(self: &Arc<Self>, pool: &SqlitePool) -> Result<FileTransaction, sqlx::Error> {
        let turn = Box::pin(pool.acquire()).await?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let connection = match idle {
            Some(connection) => connection,
            None => self.open().map_err(fault)?,
        };
        connection.execute_batch("BEGIN IMMEDIATE").map_err(fault)?;
        Ok(FileTransaction { connection, writer: self.clone(), turn })
    }

    /// Closes the connection that no batch uses.
    pub(crate) fn close(&self) {
        drop(self.idle.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Opens the file with the settings of the writing connection of sqlx.
    fn open(&self) -> Result<Connection, rusqlite::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        for (setting, value) in [("journal_size_limit", LOG_BYTES_MAX), ("wal_autocheckpoint", LOG_PAGES_MAX)] {
            connection.pragma_update_and_check(None, setting, value, |_| Ok(()))?;
        }
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Ok(connection)
    }
}

impl FileTransaction {
    /// Prepares a statement, or returns the one that was prepared before.
    pub(crate) fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, sqlx::Error> {
        self.connection.prepare_cached(sql).map_err(fault)
    }

    pub(crate) fn commit(self) -> Result<(), sqlx::Error> {
        self.end("COMMIT")
    }

    pub(crate) fn rollback(self) -> Result<(), sqlx::Error> {
        self.end("ROLLBACK")
    }

    /// Ends the transaction and keeps the connection. A connection with an error is closed.
    fn end(self, statement: &str) -> Result<(), sqlx::Error> {
        let Self { connection, writer, turn } = self;
        let ended = connection.execute_batch(statement).map_err(fault);
        match ended {
            Ok(()) => *writer.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection),
            Err(_) => drop(connection),
        }
        drop(turn);
        ended
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>, rusqlite::Error> {
        let value = match self {
            Self::Bigint(value) => value.map_or(ValueRef::Null, ValueRef::Integer),
            Self::Boolean(value) => ValueRef::Integer((*value).into()),
            Self::Text(value) => value.map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes())),
            Self::Uuid(value) => value.as_ref().map_or(ValueRef::Null, |id| ValueRef::Blob(id.as_bytes())),
            Self::Bytes(value) => ValueRef::Blob(value),
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// Binds the values of a statement. `$N` is the N-th value: SQLite numbers such parameters by their first use.
pub(crate) fn bind(statement: &mut CachedStatement<'_>, values: &[Cell<'_>]) -> Result<(), sqlx::Error> {
    for at in 1..=statement.parameter_count() {
        let named = statement.parameter_name(at).and_then(|name| name.strip_prefix('$')?.parse().ok());
        let value = values.get(named.unwrap_or(at).wrapping_sub(1));
        let missing = || sqlx::Error::Encode(format!("parameter {at} has no value").into());
        statement.raw_bind_parameter(at, value.ok_or_else(missing)?).map_err(fault)?;
    }
    Ok(())
}

/// Converts an error, so that [`DatabaseError`](crate::DatabaseError) has the same variants for both libraries.
pub(crate) fn fault(error: rusqlite::Error) -> sqlx::Error {
    if let rusqlite::Error::SqliteFailure(cause, message) = error {
        let message = message.unwrap_or_else(|| cause.to_string());
        return sqlx::Error::Database(Box::new(FileError { code: cause.extended_code, message }));
    }
    sqlx::Error::Decode(Box::new(error))
}

/// An error of SQLite.
#[derive(Debug)]
struct FileError {
    /// The extended result code.
    code: i32,
    message: String,
}

impl Display for FileError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}", self.code, self.message)
    }
}

impl Error for FileError {}

impl sqlx::error::DatabaseError for FileError {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.to_string().into())
    }

    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_has_the_compile_options_of_the_workspace() {
        let connection = Connection::open_in_memory().unwrap();
        let is_used = |option: &str| -> bool {
            connection.query_row("SELECT sqlite_compileoption_used(?1)", [option], |row| row.get(0)).unwrap()
        };
        let set = ["DEFAULT_MEMSTATUS=0", "OMIT_SHARED_CACHE", "OMIT_DEPRECATED"];
        let unset =
            ["ENABLE_MEMORY_MANAGEMENT", "ENABLE_API_ARMOR", "ENABLE_FTS3", "ENABLE_FTS5", "ENABLE_RTREE", "SOUNDEX"];
        for (option, expected) in
            set.map(|option| (option, true)).into_iter().chain(unset.map(|option| (option, false)))
        {
            assert_eq!(is_used(option), expected, "{option}, see LIBSQLITE3_FLAGS in .cargo/config.toml");
        }
    }
}
