//! The transaction of a batch of ingest, on either database.

use rusqlite::types::ValueRef;
use sqlx::{SqlSafeStr, SqlStr};
use uuid::Uuid;

use super::file_writer::{FileTransaction, bind, fault};
use super::query::{Query, ResultRow};
use super::rows::Cell;
use super::{Db, StoreKind, Transaction};
use crate::error::DatabaseError;

/// A transaction that writes many rows. Dropping it rolls it back. On SQLite its functions block the thread instead of
/// waiting: call them on a thread that may block.
#[derive(Debug)]
pub struct BulkTransaction(OpenBulk);

#[derive(Debug)]
enum OpenBulk {
    Sqlite(FileTransaction),
    Postgres(Transaction),
}

/// A statement of a [`BulkTransaction`]; [`run`](Self::run), [`all`](Self::all) or [`one`](Self::one) sends it.
#[derive(Debug)]
pub struct BulkQuery<'t> {
    on: &'t mut BulkTransaction,
    sql: SqlStr,
    values: Vec<Cell<'t>>,
    persistent: bool,
}

/// A row that a [`BulkQuery`] returns.
pub trait BulkRow: ResultRow {
    /// Reads the row of a SQLite file.
    ///
    /// # Errors
    /// The error of a value of another type.
    fn of_file(row: &rusqlite::Row<'_>) -> Result<Self, rusqlite::Error>;
}

impl Db {
    /// Begins the transaction of a batch.
    pub(crate) async fn begin_bulk(&self) -> Result<BulkTransaction, sqlx::Error> {
        match self {
            Self::Sqlite { writer, file, .. } => Ok(BulkTransaction(OpenBulk::Sqlite(file.begin(writer).await?))),
            Self::Postgres { .. } => Ok(BulkTransaction(OpenBulk::Postgres(self.begin().await?))),
        }
    }
}

/// The transaction of one database.
#[derive(Debug)]
pub(crate) enum BulkSide<'t> {
    Sqlite(&'t FileTransaction),
    Postgres(&'t mut Transaction),
}

impl BulkTransaction {
    /// Prepares a statement within the transaction.
    pub fn query(&mut self, sql: impl SqlSafeStr) -> BulkQuery<'_> {
        BulkQuery { on: self, sql: sql.into_sql_str(), values: Vec::new(), persistent: true }
    }

    /// Commits the transaction. After an error from PostgreSQL it may be committed nevertheless: the connection may
    /// have failed before the response arrived.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn commit(self) -> Result<(), DatabaseError> {
        match self.0 {
            OpenBulk::Sqlite(transaction) => Ok(transaction.commit()?),
            OpenBulk::Postgres(transaction) => transaction.commit().await,
        }
    }

    /// Undoes everything that the transaction wrote.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn rollback(self) -> Result<(), DatabaseError> {
        match self.0 {
            OpenBulk::Sqlite(transaction) => Ok(transaction.rollback()?),
            OpenBulk::Postgres(transaction) => transaction.rollback().await,
        }
    }

    /// Returns which database the transaction is on.
    #[must_use]
    pub const fn kind(&self) -> StoreKind {
        match &self.0 {
            OpenBulk::Sqlite(_) => StoreKind::Sqlite,
            OpenBulk::Postgres(_) => StoreKind::Postgres,
        }
    }

    pub(crate) const fn side(&mut self) -> BulkSide<'_> {
        match &mut self.0 {
            OpenBulk::Sqlite(transaction) => BulkSide::Sqlite(transaction),
            OpenBulk::Postgres(transaction) => BulkSide::Postgres(transaction),
        }
    }
}

impl<'t> BulkQuery<'t> {
    /// Binds the next parameter of the statement.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Cell<'t>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Marks the statement as not worth preparing on PostgreSQL, because its text is seldom the same.
    #[must_use]
    pub fn once(self) -> Self {
        Self { persistent: false, ..self }
    }

    /// Sends the statement and returns the number of rows that it wrote.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn run(self) -> Result<u64, DatabaseError> {
        match self.on.side() {
            BulkSide::Sqlite(file) => {
                let mut statement = file.prepare(self.sql.as_str())?;
                bind(&mut statement, &self.values)?;
                let written = statement.raw_execute().map_err(fault)?;
                Ok(u64::try_from(written).unwrap_or(u64::MAX))
            }
            BulkSide::Postgres(transaction) => {
                of_server(transaction, self.sql, &self.values, self.persistent).run().await
            }
        }
    }

    /// Sends the statement and returns every row.
    ///
    /// # Errors
    /// Database errors of any kind, also for values that cannot be decoded.
    pub async fn all<R: BulkRow>(self) -> Result<Vec<R>, DatabaseError> {
        match self.on.side() {
            BulkSide::Sqlite(file) => {
                let mut statement = file.prepare(self.sql.as_str())?;
                bind(&mut statement, &self.values)?;
                let mut rows = statement.raw_query();
                let mut read = Vec::new();
                while let Some(row) = rows.next().map_err(fault)? {
                    read.push(R::of_file(row).map_err(fault)?);
                }
                Ok(read)
            }
            BulkSide::Postgres(transaction) => {
                of_server(transaction, self.sql, &self.values, self.persistent).all().await
            }
        }
    }

    /// Sends the statement and returns its first row; a missing row is an error.
    ///
    /// # Errors
    /// Database errors of any kind, also for values that cannot be decoded.
    pub async fn one<R: BulkRow>(self) -> Result<R, DatabaseError> {
        let rows = self.all().await?;
        Ok(rows.into_iter().next().ok_or(sqlx::Error::RowNotFound)?)
    }
}

fn of_server<'t>(transaction: &'t mut Transaction, sql: SqlStr, values: &[Cell<'_>], persistent: bool) -> Query<'t> {
    let query = transaction.query(sql);
    let query = if persistent { query } else { query.once() };
    values.iter().fold(query, |query, value| match value {
        Cell::Bigint(value) => query.bind(*value),
        Cell::Boolean(value) => query.bind(*value),
        Cell::Text(value) => query.bind(*value),
        Cell::Uuid(value) => query.bind(*value),
        Cell::Bytes(value) => query.bind(*value),
    })
}

impl BulkRow for (i64,) {
    fn of_file(row: &rusqlite::Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok((row.get(0)?,))
    }
}

impl BulkRow for (i64, i64, i64) {
    fn of_file(row: &rusqlite::Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    }
}

impl BulkRow for (Uuid,) {
    fn of_file(row: &rusqlite::Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok((id(row)?,))
    }
}

impl BulkRow for (Uuid, Vec<u8>) {
    fn of_file(row: &rusqlite::Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok((id(row)?, row.get(1)?))
    }
}

/// Reads the first column.
fn id(row: &rusqlite::Row<'_>) -> Result<Uuid, rusqlite::Error> {
    let value = row.get_ref(0)?;
    let ValueRef::Blob(bytes) = value else {
        return Err(rusqlite::Error::InvalidColumnType(0, "id".to_owned(), value.data_type()));
    };
    let invalid = |error| rusqlite::Error::FromSqlConversionFailure(0, value.data_type(), Box::new(error));
    Uuid::from_slice(bytes).map_err(invalid)
}
