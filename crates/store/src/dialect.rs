//! The two databases behind one handle. All that is one's alone stands below here; the rest of the crate speaks SQL that
//! both read.

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

/// Key look-ups that are asked of the database at once, and other reads of a file. One look-up is done in 30 µs on SQLite,
/// where more would only cost memory.
pub(crate) const READERS: u32 = 4;
/// Connections for look-ups alone, so that no slow read keeps the proxy from knowing a key: [`READERS`], and one to read the
/// revision, without which what is known grows old.
const LOOKUPS: u32 = READERS + 1;

/// An open database.
#[derive(Debug)]
pub(crate) enum Db {
    /// One connection that writes, several that read, some of them for look-ups alone, one that empties the write-ahead log,
    /// and the log.
    Sqlite {
        writer: sqlx::SqlitePool,
        readers: sqlx::SqlitePool,
        lookups: sqlx::SqlitePool,
        checkpointer: sqlx::SqlitePool,
        log: PathBuf,
    },
    /// Connections that read and write, and those for look-ups alone.
    Postgres { pool: sqlx::PgPool, lookups: sqlx::PgPool },
}

/// A transaction that may write; it is undone when it is dropped.
#[derive(Debug)]
pub(crate) enum Transaction {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    /// And how long we wait for each of its answers.
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>, Patience),
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Db {
    /// Ends all connections.
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

    /// A statement that only reads.
    pub(crate) fn query(&self, sql: impl SqlSafeStr) -> Query<'_> {
        match self {
            Self::Sqlite { readers, .. } => Query::on_sqlite(readers, sql.into_sql_str()),
            Self::Postgres { pool, .. } => Query::on_postgres(pool, sql.into_sql_str()),
        }
    }

    /// A statement that looks something up for requests that wait: other reads do not hold it up.
    pub(crate) fn look_up(&self, sql: impl SqlSafeStr) -> Query<'_> {
        match self {
            Self::Sqlite { lookups, .. } => Query::on_sqlite(lookups, sql.into_sql_str()),
            Self::Postgres { lookups, .. } => Query::on_postgres(lookups, sql.into_sql_str()),
        }
    }

    /// A transaction that may write.
    pub(crate) async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        match self {
            Self::Sqlite { writer, .. } => Ok(Transaction::Sqlite(sqlite::begin(writer).await?)),
            Self::Postgres { pool, .. } => {
                Ok(Transaction::Postgres(postgres::bounded(pool.begin()).await?, Patience::Bounded))
            }
        }
    }

    /// A transaction that only reads, and sees the database as it stands at its first question.
    pub(crate) async fn snapshot(&self) -> Result<Transaction, sqlx::Error> {
        match self {
            Self::Sqlite { readers, .. } => Ok(Transaction::Sqlite(readers.begin().await?)),
            Self::Postgres { pool, .. } => {
                let begun = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
                Ok(Transaction::Postgres(postgres::bounded(begun).await?, Patience::Bounded))
            }
        }
    }

    /// Answers when all that was committed before survives a power cut; blocks until the disk has it. A server says that
    /// it has committed when its own disk has it (`postgres::prepare` sees to that).
    pub(crate) fn sync(&self) -> io::Result<()> {
        match self {
            Self::Sqlite { log, .. } => sqlite::sync(log),
            Self::Postgres { .. } => Ok(()),
        }
    }

    /// Brings what the write-ahead log holds into the database's file, beside whoever writes; a server sees to its own.
    pub(crate) async fn checkpoint(&self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite { checkpointer, .. } => sqlite::checkpoint(checkpointer).await.map(|_| ()),
            Self::Postgres { .. } => Ok(()),
        }
    }

    /// The same of what came meanwhile, while nobody writes, so that the log begins anew.
    pub(crate) async fn begin_log_anew(&self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite { writer, checkpointer, .. } => sqlite::begin_log_anew(writer, checkpointer).await,
            Self::Postgres { .. } => Ok(()),
        }
    }

    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Sqlite { .. } => Kind::Sqlite,
            Self::Postgres { .. } => Kind::Postgres,
        }
    }
}

impl Transaction {
    /// A statement within it.
    pub(crate) fn query(&mut self, sql: impl SqlSafeStr) -> Query<'_> {
        let sql: SqlStr = sql.into_sql_str();
        match self {
            Self::Sqlite(transaction) => Query::in_sqlite(transaction, sql),
            Self::Postgres(transaction, patience) => Query::in_postgres(transaction, *patience, sql),
        }
    }

    /// Keeps what was written. On an error from PostgreSQL it may be kept all the same: the connection died before its
    /// answer came.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction, patience) => patience.wait(transaction.commit()).await,
        }
    }

    /// Lets its statements and its commit take as long as they need, and it stand still meanwhile.
    pub(crate) async fn without_time_limit(&mut self) -> Result<(), sqlx::Error> {
        if self.kind() == Kind::Postgres {
            self.query("SET LOCAL statement_timeout = 0").run().await?;
            self.query("SET LOCAL idle_in_transaction_session_timeout = 0").run().await?;
        }
        if let Self::Postgres(_, patience) = self {
            *patience = Patience::Endless;
        }
        Ok(())
    }

    /// Undoes what was written.
    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await,
            Self::Postgres(transaction, _) => postgres::bounded(transaction.rollback()).await,
        }
    }

    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Sqlite(_) => Kind::Sqlite,
            Self::Postgres(..) => Kind::Postgres,
        }
    }
}

impl Kind {
    /// Parameters in one statement: SQLite's default of `SQLITE_MAX_VARIABLE_NUMBER`, the width of PostgreSQL's counter.
    pub(crate) const fn parameters_max(self) -> usize {
        match self {
            Self::Sqlite => 32_766,
            Self::Postgres => 65_535,
        }
    }

    /// Writes the `n`-th parameter, from 1, of a statement with many of them. sqlx asks SQLite for the name of each
    /// parameter, and SQLite searches a list for it: named ones (`$1`) make that quadratic, `?` has no name.
    pub(crate) fn placeholder(self, n: usize, text: &mut String) {
        match self {
            Self::Sqlite => text.push('?'),
            Self::Postgres => {
                text.push('$');
                text.push_str(&n.to_string());
            }
        }
    }

    /// Writes a list of `count` parameters, in parentheses.
    pub(crate) fn placeholders(self, count: usize, text: &mut String) {
        self.placeholders_from(1, count, text);
    }

    /// The same from the `first`-th parameter on.
    pub(crate) fn placeholders_from(self, first: usize, count: usize, text: &mut String) {
        text.push('(');
        for n in first..first + count {
            text.push_str(if n == first { "" } else { ", " });
            self.placeholder(n, text);
        }
        text.push(')');
    }

    /// Before names are numbered: one writer after the other, so that no two give the same number. SQLite has one anyway.
    pub(crate) const fn lock_names(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("LOCK TABLE names IN SHARE ROW EXCLUSIVE MODE"),
        }
    }

    /// Behind a question about rows, in an order: nobody else changes them until the transaction ends. SQLite has one writer
    /// anyway.
    pub(crate) const fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// The database's clock, which is the one that several servers share; a file has one server, and that has a clock.
    pub(crate) const fn now(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"),
        }
    }

    /// The columns of a table.
    const fn columns(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT name, upper(type) FROM pragma_table_info($1) ORDER BY cid",
            Self::Postgres => {
                "SELECT column_name::text, upper(data_type::text) FROM information_schema.columns
                WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
            }
        }
    }

    /// Before old usage is deleted: whether nobody else does so, until the transaction ends. A file has one server anyway.
    /// The number is ours: `retent` in ASCII.
    pub(crate) const fn try_retention(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT pg_try_advisory_xact_lock(125780070067828)"),
        }
    }
}

/// A table's columns, in order, each with its type.
pub(crate) async fn columns(on: &mut Transaction, table: &str) -> Result<Vec<(String, String)>, sqlx::Error> {
    let text = on.kind().columns();
    on.query(text).bind(table.to_owned()).all().await
}

/// The texts that differ.
#[cfg(test)]
pub(crate) fn texts(kind: Kind) -> Vec<String> {
    let texts = [Some(kind.columns()), kind.lock_names(), kind.try_retention(), kind.now()];
    texts.into_iter().flatten().map(str::to_owned).collect()
}

/// Every table but the migrations' own, with its columns in order: table, column, type, whether it is the primary key.
#[cfg(test)]
pub(crate) const fn catalogue(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => {
            "SELECT t.name, c.name, c.type, c.pk <> 0 FROM sqlite_master t JOIN pragma_table_info(t.name) c
            WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> '_sqlx_migrations' ORDER BY t.name, c.cid"
        }
        Kind::Postgres => {
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
