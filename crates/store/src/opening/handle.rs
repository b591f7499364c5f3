//! The handle to the database.

pub(crate) mod doubt;
pub(crate) mod key_numbers;
pub mod last_use;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::{Clock, Ids, Secret};
use sqlx::SqlSafeStr;
use uuid::Uuid;

use self::doubt::UncertainRenewals;
use self::key_numbers::KeyNumbers;
use self::last_use::LastUse;
use crate::error::DatabaseError;
use crate::open_error::OpenError;
use crate::opening::data_folder::claimed;
use crate::opening::migration::MigrationConnection;
use crate::opening::options::Options;
use crate::revision;
use crate::sql::dialect::file_writer::FileWriter;
use crate::sql::dialect::{Db, postgres, sqlite};
use crate::sql::{BulkTransaction, Query, StoreKind, Transaction, micros, statements, unsigned};

statements! {
    REVISION = "SELECT coalesce(max(value), 0) FROM revision";
}

/// The database. Clones refer to the same store.
#[derive(Debug, Clone)]
pub struct Store(Arc<StoreInner>);

#[derive(Debug)]
struct StoreInner {
    db: Db,
    clock: Clock,
    ids: Mutex<Ids>,
    doubts: UncertainRenewals,
    last_use: LastUse,
    numbers: KeyNumbers,
}

impl Store {
    /// Opens the database, and runs missing migrations if `migrate` is true.
    ///
    /// # Errors
    /// [`OpenError::Newer`], [`OpenError::Older`] (only without `migrate`), [`OpenError::Migration`], and database errors.
    /// For a file: [`OpenError::Folder`]. For a server: [`OpenError::Url`], [`OpenError::OldServer`],
    /// [`OpenError::Encoding`].
    pub async fn open(options: Options<'_>) -> Result<Self, OpenError> {
        Self::open_waiting(options, postgres::ACQUIRE).await
    }

    /// Like [`Store::open`], with another maximum time to wait for a connection to PostgreSQL. On a machine that compiles, or
    /// runs other tests, a test may wait longer than a request may; a server does not.
    ///
    /// # Errors
    /// The errors of [`Store::open`].
    pub async fn open_waiting(options: Options<'_>, acquire: Duration) -> Result<Self, OpenError> {
        let db = match options.url {
            None => Box::pin(open_file(options.data, options.migrate)).await?,
            Some(url) => Box::pin(open_server(url, options.migrate, acquire)).await?,
        };
        let ids = Mutex::new(Ids::new(options.clock.clone()));
        let (doubts, last_use, numbers) = Default::default();
        Ok(Self(Arc::new(StoreInner { db, clock: options.clock, ids, doubts, last_use, numbers })))
    }

    /// Opens a SQLite file of any name, creates it if it is missing, and runs missing migrations.
    pub(crate) async fn open_file(file: &Path, clock: Clock) -> Result<Self, OpenError> {
        let db = Box::pin(open_sqlite(file, true)).await?;
        let (doubts, last_use, numbers) = Default::default();
        Ok(Self(Arc::new(StoreInner {
            db,
            ids: Mutex::new(Ids::new(clock.clone())),
            clock,
            doubts,
            last_use,
            numbers,
        })))
    }

    /// Closes all connections to a SQLite file; afterwards the one file contains everything.
    pub(crate) async fn close_into_one_file(self) -> Result<(), DatabaseError> {
        if let Db::Sqlite { writer, file, readers, lookups, checkpointer, .. } = &self.0.db {
            readers.close().await;
            lookups.close().await;
            checkpointer.close().await;
            file.close();
            sqlite::end_log(writer).await?;
        }
        self.close().await;
        Ok(())
    }

    /// Closes all connections. Committed data is kept; other clones fail from now on.
    pub async fn close(&self) {
        self.0.db.close().await;
    }

    /// Whether several nodes may share the store: true for PostgreSQL, false for SQLite.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.kind() == StoreKind::Postgres
    }

    /// Prepares a statement that only reads.
    #[must_use]
    pub fn query(&self, sql: impl SqlSafeStr) -> Query<'_> {
        self.0.db.query(sql)
    }

    /// Prepares a look-up for waiting requests; it uses connections that other reads do not occupy.
    #[must_use]
    pub fn look_up(&self, sql: impl SqlSafeStr) -> Query<'_> {
        self.0.db.look_up(sql)
    }

    /// Begins a transaction that may write.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn begin(&self) -> Result<Transaction, DatabaseError> {
        Ok(self.0.db.begin().await?)
    }

    /// Begins the transaction of a batch of ingest. On SQLite it blocks the thread while it works.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn begin_bulk(&self) -> Result<BulkTransaction, DatabaseError> {
        Ok(self.0.db.begin_bulk().await?)
    }

    /// Begins a transaction that only reads, without a time limit; it sees the store as of its first query.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn begin_read(&self) -> Result<Transaction, DatabaseError> {
        let mut transaction = self.0.db.begin_read().await?;
        transaction.without_time_limit().await?;
        Ok(transaction)
    }

    /// Returns which database the store uses.
    #[must_use]
    pub fn kind(&self) -> StoreKind {
        self.0.db.kind()
    }

    /// Begins a transaction that changes users, keys or plans. It raises the revision first: on PostgreSQL the
    /// revision's row is the lock that serialises the assignment of numbers.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn begin_revision(&self) -> Result<Transaction, DatabaseError> {
        let mut transaction = self.begin().await?;
        revision::raise(&mut transaction, self.now()).await?;
        Ok(transaction)
    }

    /// Begins a transaction that invalidates no cached look-up. It locks the revision's row but keeps the revision, so
    /// that no node repeats its look-ups, until `raise` is called.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn begin_quiet(&self) -> Result<Transaction, DatabaseError> {
        let mut transaction = self.begin().await?;
        revision::hold(&mut transaction, self.now()).await?;
        Ok(transaction)
    }

    /// Raises the revision within a transaction of [`begin_quiet`](Self::begin_quiet).
    pub(crate) async fn raise(&self, transaction: &mut Transaction) -> Result<(), DatabaseError> {
        revision::raise(transaction, self.now()).await
    }

    /// Returns the number of changes to users, keys and plans, by all processes.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn revision(&self) -> Result<u64, DatabaseError> {
        let (value,) = self.look_up(REVISION).one::<(i64,)>().await?;
        Ok(unsigned(value))
    }

    /// Returns when all earlier commits survive a power failure; blocks until they are on disk.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub fn sync(&self) -> Result<(), DatabaseError> {
        self.0.db.sync().map_err(|error| DatabaseError::Database(error.into()))
    }

    /// Copies the write-ahead log of a SQLite file into the file while others may write.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn checkpoint(&self) -> Result<(), DatabaseError> {
        Ok(self.0.db.checkpoint().await?)
    }

    /// Copies what the log received since, so that the log restarts from its beginning and stays small.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn begin_log_anew(&self) -> Result<(), DatabaseError> {
        Ok(self.0.db.begin_log_anew().await?)
    }

    /// Returns the current time in its stored form.
    #[must_use]
    pub fn now(&self) -> i64 {
        micros(self.0.clock.now())
    }

    /// Returns the recorded uses of keys.
    #[must_use]
    pub fn last_use(&self) -> &LastUse {
        &self.0.last_use
    }

    /// Returns the key numbers that this process has reserved.
    pub(crate) fn numbers(&self) -> &KeyNumbers {
        &self.0.numbers
    }

    /// Returns the source of all times.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Returns the renewals of sessions whose commit has an unknown outcome.
    pub(crate) fn doubts(&self) -> &UncertainRenewals {
        &self.0.doubts
    }

    /// Creates an id for a new row.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        self.0.ids.lock().unwrap_or_else(PoisonError::into_inner).next_uuid()
    }
}

async fn open_file(data: &Path, migrate: bool) -> Result<Db, OpenError> {
    let (file, lock) = claimed(data).await?;
    let db = open_sqlite(&file, migrate).await;
    drop(lock);
    db
}

async fn open_sqlite(file: &Path, migrate: bool) -> Result<Db, OpenError> {
    let writer = sqlite::writer(file).await?;
    MigrationConnection::Sqlite(writer.acquire().await?).bring_up_to_date(migrate).await?;
    let readers = sqlite::readers(file).await?;
    let lookups = sqlite::lookups(file).await?;
    let checkpointer = sqlite::checkpointer(file);
    let log = sqlite::log(file);
    Ok(Db::Sqlite { writer, file: FileWriter::new(file)?, readers, lookups, checkpointer, log })
}

async fn open_server(url: &Secret, migrate: bool, acquire: Duration) -> Result<Db, OpenError> {
    let options = postgres::options(url.expose())?;
    MigrationConnection::Postgres(postgres::connect(&options).await?).bring_up_to_date(migrate).await?;
    let lookups = postgres::lookups(options.clone(), acquire).await?;
    Ok(Db::Postgres { pool: postgres::pool(options, acquire).await?, lookups })
}

#[cfg(test)]
pub(crate) mod tests;
