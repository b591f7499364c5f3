//! The two databases behind one handle. This module contains everything that is specific to one database; the rest of
//! the crate uses SQL that both accept.

mod bulk;
mod fault;
pub(crate) mod file_writer;
pub(crate) mod postgres;
mod query;
mod rows;
pub(crate) mod sqlite;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use sqlx::{SqlSafeStr, SqlStr};

use crate::error::DatabaseError;
pub(crate) use bulk::BulkSide;
pub use bulk::{BulkQuery, BulkRow, BulkTransaction};
use file_writer::FileWriter;
pub(crate) use postgres::Patience;
pub use query::{Arguments, Query, ResultRow, SqlValue};
pub use rows::{Cell, SqlType};
pub(crate) use rows::{arrays_of, push_arrays, values_of};

/// Number of concurrent key look-ups, and of other reads of a SQLite file. One look-up takes 30 µs on SQLite, so more
/// connections would only cost memory.
pub const READERS: u32 = 4;
/// Connections reserved for look-ups, so that no slow read delays the proxy's look-up of a key: [`READERS`], and one to
/// read the revision, without which cached look-ups expire.
const LOOKUPS: u32 = READERS + 1;
/// Number of subjects whose counters begin at a time, from a SQLite file. It has as many connections for look-ups besides
/// those of keys, so that the first use of a subject delays no look-up of a key. With PostgreSQL, leases replace these reads.
pub const SUBJECT_READERS: u32 = 2;

/// Connections to an open database.
#[derive(Debug)]
pub(crate) enum Db {
    /// One connection that writes, one that writes batches in turn with it, several that read (some only for look-ups),
    /// one that empties the write-ahead log, and the path of the log.
    Sqlite {
        writer: sqlx::SqlitePool,
        file: Arc<FileWriter>,
        readers: sqlx::SqlitePool,
        lookups: sqlx::SqlitePool,
        checkpointer: sqlx::SqlitePool,
        log: PathBuf,
    },
    /// Connections that read and write, and those reserved for look-ups.
    Postgres { pool: sqlx::PgPool, lookups: sqlx::PgPool },
}

/// A transaction that may write. Dropping it rolls it back.
#[derive(Debug)]
pub struct Transaction(OpenTransaction);

#[derive(Debug)]
enum OpenTransaction {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    /// The transaction, and the time limit of each statement's response.
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>, Patience),
}

/// Selects one of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// A file in the data folder, which has one writer.
    Sqlite,
    /// A server, which several nodes share.
    Postgres,
}

impl Db {
    /// Closes all connections of the database.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, file, readers, lookups, checkpointer, .. } => {
                readers.close().await;
                lookups.close().await;
                checkpointer.close().await;
                // Waits for a running batch. The last connection copies the write-ahead log, off the async threads.
                writer.close().await;
                let file = file.clone();
                let _ = tokio::task::spawn_blocking(move || file.close()).await;
            }
            Self::Postgres { pool, lookups } => {
                lookups.close().await;
                pool.close().await;
            }
        }
    }

    /// Prepares a statement that only reads.
    pub(crate) fn query(&self, sql: impl SqlSafeStr) -> Query<'_> {
        match self {
            Self::Sqlite { readers, .. } => Query::on_sqlite(readers, sql.into_sql_str()),
            Self::Postgres { pool, .. } => Query::on_postgres(pool, sql.into_sql_str()),
        }
    }

    /// Prepares a look-up for waiting requests; it uses connections that other reads do not occupy.
    pub(crate) fn look_up(&self, sql: impl SqlSafeStr) -> Query<'_> {
        match self {
            Self::Sqlite { lookups, .. } => Query::on_sqlite(lookups, sql.into_sql_str()),
            Self::Postgres { lookups, .. } => Query::on_postgres(lookups, sql.into_sql_str()),
        }
    }

    /// Begins a transaction that may write.
    pub(crate) async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        match self {
            Self::Sqlite { writer, .. } => Ok(Transaction(OpenTransaction::Sqlite(sqlite::begin(writer).await?))),
            Self::Postgres { pool, .. } => {
                let begun = Box::pin(postgres::bounded(pool.begin())).await?;
                Ok(Transaction(OpenTransaction::Postgres(begun, Patience::Bounded)))
            }
        }
    }

    /// Begins a transaction that only reads; it sees the database as of its first query.
    pub(crate) async fn begin_read(&self) -> Result<Transaction, sqlx::Error> {
        match self {
            Self::Sqlite { readers, .. } => Ok(Transaction(OpenTransaction::Sqlite(Box::pin(readers.begin()).await?))),
            Self::Postgres { pool, .. } => {
                let begun = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
                let begun = Box::pin(postgres::bounded(begun)).await?;
                Ok(Transaction(OpenTransaction::Postgres(begun, Patience::Bounded)))
            }
        }
    }

    /// Returns when all earlier commits survive a power failure; blocks until they are on disk. A PostgreSQL server
    /// reports a commit only when its own disk has it (`postgres::prepare` ensures that).
    pub(crate) fn sync(&self) -> io::Result<()> {
        match self {
            Self::Sqlite { log, .. } => sqlite::sync(log),
            Self::Postgres { .. } => Ok(()),
        }
    }

    /// Copies the contents of the write-ahead log into the database file while others may write; PostgreSQL does this
    /// itself.
    pub(crate) async fn checkpoint(&self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite { checkpointer, .. } => sqlite::checkpoint(checkpointer).await.map(|_| ()),
            Self::Postgres { .. } => Ok(()),
        }
    }

    /// Copies what the log received since, while no connection writes, so that the log restarts from its beginning.
    pub(crate) async fn begin_log_anew(&self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite { writer, checkpointer, .. } => sqlite::begin_log_anew(writer, checkpointer).await,
            Self::Postgres { .. } => Ok(()),
        }
    }

    pub(crate) const fn kind(&self) -> StoreKind {
        match self {
            Self::Sqlite { .. } => StoreKind::Sqlite,
            Self::Postgres { .. } => StoreKind::Postgres,
        }
    }
}

impl Transaction {
    /// Prepares a statement within the transaction.
    pub fn query(&mut self, sql: impl SqlSafeStr) -> Query<'_> {
        let sql: SqlStr = sql.into_sql_str();
        match &mut self.0 {
            OpenTransaction::Sqlite(transaction) => Query::in_sqlite(transaction, sql),
            OpenTransaction::Postgres(transaction, patience) => Query::in_postgres(transaction, *patience, sql),
        }
    }

    /// Commits the transaction. After an error from PostgreSQL it may be committed nevertheless: the connection may
    /// have failed before the response arrived.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn commit(self) -> Result<(), DatabaseError> {
        match self.0 {
            OpenTransaction::Sqlite(transaction) => transaction.commit().await?,
            OpenTransaction::Postgres(transaction, patience) => patience.wait(transaction.commit()).await?,
        }
        Ok(())
    }

    /// Removes the time limits of the transaction's statements, of its commit and of its idle time.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn without_time_limit(&mut self) -> Result<(), DatabaseError> {
        if self.kind() == StoreKind::Postgres {
            self.query("SET LOCAL statement_timeout = 0").run().await?;
            self.query("SET LOCAL idle_in_transaction_session_timeout = 0").run().await?;
        }
        if let OpenTransaction::Postgres(_, patience) = &mut self.0 {
            *patience = Patience::Endless;
        }
        Ok(())
    }

    /// Undoes everything that the transaction wrote.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn rollback(self) -> Result<(), DatabaseError> {
        match self.0 {
            OpenTransaction::Sqlite(transaction) => transaction.rollback().await?,
            OpenTransaction::Postgres(transaction, _) => postgres::bounded(transaction.rollback()).await?,
        }
        Ok(())
    }

    /// Returns which database the transaction is on.
    #[must_use]
    pub const fn kind(&self) -> StoreKind {
        match &self.0 {
            OpenTransaction::Sqlite(_) => StoreKind::Sqlite,
            OpenTransaction::Postgres(..) => StoreKind::Postgres,
        }
    }
}

impl StoreKind {
    /// Maximum number of parameters in one statement: SQLite's default of `SQLITE_MAX_VARIABLE_NUMBER`, and the range
    /// of PostgreSQL's 16-bit counter.
    #[must_use]
    pub const fn parameters_max(self) -> usize {
        match self {
            Self::Sqlite => 32_766,
            Self::Postgres => 65_535,
        }
    }

    /// Appends the `n`-th parameter, from 1, of a statement with many parameters. sqlx asks SQLite for the name of each
    /// parameter, and SQLite searches a list for it: named parameters (`$1`) make that quadratic, `?` has no name.
    pub fn placeholder(self, n: usize, text: &mut String) {
        match self {
            Self::Sqlite => text.push('?'),
            Self::Postgres => {
                text.push('$');
                text.push_str(&n.to_string());
            }
        }
    }

    /// Appends a list of `count` parameters, in parentheses.
    pub fn placeholders(self, count: usize, text: &mut String) {
        self.placeholders_from(1, count, text);
    }

    /// Appends a list of `count` parameters, the first of which has the number `first`.
    pub fn placeholders_from(self, first: usize, count: usize, text: &mut String) {
        text.push('(');
        for n in first..first + count {
            text.push_str(if n == first { "" } else { ", " });
            self.placeholder(n, text);
        }
        text.push(')');
    }

    /// Serialises writers of `names` before they assign numbers, so that no two assign the same one. SQLite has only
    /// one writer.
    #[must_use]
    pub const fn lock_names(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("LOCK TABLE names, subjects IN SHARE ROW EXCLUSIVE MODE"),
        }
    }

    /// Suffix for an ordered query that locks its rows until the transaction ends. SQLite has only one writer.
    #[must_use]
    pub const fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// Query for the database's clock, which all nodes share. A SQLite file has one node, which uses its own clock.
    #[must_use]
    pub const fn now(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"),
        }
    }

    /// Query for the columns of a table.
    const fn columns(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT name, upper(type) FROM pragma_table_info($1) ORDER BY cid",
            Self::Postgres => {
                "SELECT column_name::text, upper(data_type::text) FROM information_schema.columns
                WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
            }
        }
    }

    /// Query that takes the lock for deleting old usage until the transaction ends, and returns whether it succeeded. A
    /// SQLite file has one node. The lock's number is Tollgate's: `retent` in ASCII.
    #[must_use]
    pub const fn try_retention(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT pg_try_advisory_xact_lock(125780070067828)"),
        }
    }
}

/// Returns a table's columns in order, each with its type.
pub(crate) async fn columns(tx: &mut Transaction, table: &str) -> Result<Vec<(String, String)>, DatabaseError> {
    let text = tx.kind().columns();
    tx.query(text).bind(table.to_owned()).all().await
}

/// Returns the texts that differ between databases.
#[cfg(test)]
pub(crate) fn texts(kind: StoreKind) -> Vec<String> {
    let texts = [Some(kind.columns()), kind.lock_names(), kind.try_retention(), kind.now()];
    texts.into_iter().flatten().map(str::to_owned).collect()
}
