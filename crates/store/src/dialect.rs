//! The two databases behind one handle. This module contains everything that is specific to one database; the rest of
//! the crate uses SQL that both accept.

mod fault;
pub(crate) mod postgres;
mod query;
pub(crate) mod sqlite;

use std::io;
use std::path::PathBuf;

use sqlx::{SqlSafeStr, SqlStr};

pub(crate) use fault::{fault, is_known};
pub(crate) use postgres::Patience;
#[cfg(test)]
pub(crate) use query::SENT;
pub(crate) use query::{Arguments, Query, Value};

/// Number of concurrent key look-ups, and of other reads of a SQLite file. One look-up takes 30 µs on SQLite, so more
/// connections would only cost memory.
pub(crate) const READERS: u32 = 4;
/// Connections reserved for look-ups, so that no slow read delays the proxy's look-up of a key: [`READERS`], and one to
/// read the revision, without which cached look-ups expire.
const LOOKUPS: u32 = READERS + 1;

/// Connections to an open database.
#[derive(Debug)]
pub(crate) enum Db {
    /// One connection that writes, several that read (some only for look-ups), one that empties the write-ahead log,
    /// and the path of the log.
    Sqlite {
        writer: sqlx::SqlitePool,
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
pub(crate) enum Transaction {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    /// The transaction, and the time limit of each statement's response.
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>, Patience),
}

/// Selects one of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreKind {
    Sqlite,
    Postgres,
}

impl Db {
    /// Closes all connections of the database.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers, lookups, checkpointer, .. } => {
                readers.close().await;
                lookups.close().await;
                checkpointer.close().await;
                writer.close().await;
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
            Self::Sqlite { writer, .. } => Ok(Transaction::Sqlite(sqlite::begin(writer).await?)),
            Self::Postgres { pool, .. } => {
                Ok(Transaction::Postgres(postgres::bounded(pool.begin()).await?, Patience::Bounded))
            }
        }
    }

    /// Begins a transaction that only reads; it sees the database as of its first query.
    pub(crate) async fn snapshot(&self) -> Result<Transaction, sqlx::Error> {
        match self {
            Self::Sqlite { readers, .. } => Ok(Transaction::Sqlite(readers.begin().await?)),
            Self::Postgres { pool, .. } => {
                let begun = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
                Ok(Transaction::Postgres(postgres::bounded(begun).await?, Patience::Bounded))
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
    pub(crate) fn query(&mut self, sql: impl SqlSafeStr) -> Query<'_> {
        let sql: SqlStr = sql.into_sql_str();
        match self {
            Self::Sqlite(transaction) => Query::in_sqlite(transaction, sql),
            Self::Postgres(transaction, patience) => Query::in_postgres(transaction, *patience, sql),
        }
    }

    /// Commits the transaction. After an error from PostgreSQL it may be committed nevertheless: the connection may
    /// have failed before the response arrived.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction, patience) => patience.wait(transaction.commit()).await,
        }
    }

    /// Removes the time limits of the transaction's statements, of its commit and of its idle time.
    pub(crate) async fn without_time_limit(&mut self) -> Result<(), sqlx::Error> {
        if self.kind() == StoreKind::Postgres {
            self.query("SET LOCAL statement_timeout = 0").run().await?;
            self.query("SET LOCAL idle_in_transaction_session_timeout = 0").run().await?;
        }
        if let Self::Postgres(_, patience) = self {
            *patience = Patience::Endless;
        }
        Ok(())
    }

    /// Undoes everything that the transaction wrote.
    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await,
            Self::Postgres(transaction, _) => postgres::bounded(transaction.rollback()).await,
        }
    }

    pub(crate) const fn kind(&self) -> StoreKind {
        match self {
            Self::Sqlite(_) => StoreKind::Sqlite,
            Self::Postgres(..) => StoreKind::Postgres,
        }
    }
}

impl StoreKind {
    /// Maximum number of parameters in one statement: SQLite's default of `SQLITE_MAX_VARIABLE_NUMBER`, and the range
    /// of PostgreSQL's 16-bit counter.
    pub(crate) const fn parameters_max(self) -> usize {
        match self {
            Self::Sqlite => 32_766,
            Self::Postgres => 65_535,
        }
    }

    /// Appends the `n`-th parameter, from 1, of a statement with many parameters. sqlx asks SQLite for the name of each
    /// parameter, and SQLite searches a list for it: named parameters (`$1`) make that quadratic, `?` has no name.
    pub(crate) fn placeholder(self, n: usize, text: &mut String) {
        match self {
            Self::Sqlite => text.push('?'),
            Self::Postgres => {
                text.push('$');
                text.push_str(&n.to_string());
            }
        }
    }

    /// Appends a list of `count` parameters, in parentheses.
    pub(crate) fn placeholders(self, count: usize, text: &mut String) {
        self.placeholders_from(1, count, text);
    }

    /// Appends a list of `count` parameters, the first of which has the number `first`.
    pub(crate) fn placeholders_from(self, first: usize, count: usize, text: &mut String) {
        text.push('(');
        for n in first..first + count {
            text.push_str(if n == first { "" } else { ", " });
            self.placeholder(n, text);
        }
        text.push(')');
    }

    /// Serialises writers of `names` before they assign numbers, so that no two assign the same one. SQLite has only
    /// one writer.
    pub(crate) const fn lock_names(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("LOCK TABLE names IN SHARE ROW EXCLUSIVE MODE"),
        }
    }

    /// Suffix for an ordered query that locks its rows until the transaction ends. SQLite has only one writer.
    pub(crate) const fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// Query for the database's clock, which all nodes share. A SQLite file has one node, which uses its own clock.
    pub(crate) const fn now(self) -> Option<&'static str> {
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
    pub(crate) const fn try_retention(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT pg_try_advisory_xact_lock(125780070067828)"),
        }
    }
}

/// Returns a table's columns in order, each with its type.
pub(crate) async fn columns(on: &mut Transaction, table: &str) -> Result<Vec<(String, String)>, sqlx::Error> {
    let text = on.kind().columns();
    on.query(text).bind(table.to_owned()).all().await
}

/// Returns the texts that differ between databases.
#[cfg(test)]
pub(crate) fn texts(kind: StoreKind) -> Vec<String> {
    let texts = [Some(kind.columns()), kind.lock_names(), kind.try_retention(), kind.now()];
    texts.into_iter().flatten().map(str::to_owned).collect()
}

/// Query for every table except those of the migrations, with its columns in order: table, column, type, whether it is
/// the primary key.
#[cfg(test)]
pub(crate) const fn catalogue(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::Sqlite => {
            "SELECT t.name, c.name, c.type, c.pk <> 0 FROM sqlite_master t JOIN pragma_table_info(t.name) c
            WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> '_sqlx_migrations' ORDER BY t.name, c.cid"
        }
        StoreKind::Postgres => {
            "SELECT c.table_name::text, c.column_name::text, upper(c.data_type::text), EXISTS (SELECT 1
                FROM information_schema.table_constraints t JOIN information_schema.key_column_usage k
                    USING (constraint_schema, constraint_name)
                WHERE t.constraint_type = 'PRIMARY KEY' AND k.table_schema = c.table_schema
                    AND k.table_name = c.table_name AND k.column_name = c.column_name)
            FROM information_schema.columns c WHERE c.table_schema = 'public' AND c.table_name <> '_sqlx_migrations'
            ORDER BY c.table_name COLLATE \"C\", c.ordinal_position"
        }
    }
}
