//! The handle to the database.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use access::{Clock, Ids, Secret};
use sqlx::SqlSafeStr;
use sqlx::migrate::MigrateError;
use thiserror::Error;
use uuid::Uuid;

use crate::api_keys::numbers::KeyNumbers;
use crate::error::DatabaseError;
use crate::last_use::LastUse;
use crate::migration::{MigrationConnection, NewerDatabase};
use crate::revision;
use crate::sessions::UncertainRenewals;
use crate::sql::dialect::{Db, is_known, postgres, sqlite};
use crate::sql::{Query, StoreKind, Transaction, micros};

pub(crate) const FILE: &str = "tollgate.db";
/// Lock file that a process holds while it opens the database, so that two do not migrate it at once. Separate from the
/// database's file: closing any handle of that file would drop the locks that SQLite has on it.
const LOCK: &str = "tollgate.db.lock";

/// The data folder, or a file in it, cannot be created or written to.
#[derive(Debug, Error)]
#[error(
    "cannot write to the data folder {}: grant write permission to the user that runs Tollgate, or set another folder \
     with --data",
    folder.display()
)]
pub struct FolderError {
    /// Path of the folder or the file.
    pub folder: PathBuf,
    /// Error of the operating system.
    pub source: std::io::Error,
}

/// The error of opening a store and of its migrations.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The data folder cannot be created or written to.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A newer version has migrated the database.
    #[error(transparent)]
    Newer(#[from] NewerDatabase),
    /// The database needs a migration, and migrations at startup are disabled.
    #[error("the database has version {found}, this Tollgate needs {known}: start once with store.migrate: true")]
    Older {
        /// Version of the database; 0 if it is empty.
        found: i64,
        /// Version that this binary needs.
        known: i64,
    },
    /// A migration failed. Its own changes are undone; earlier migrations remain.
    #[error("the database could not be migrated")]
    Migration(#[source] MigrateError),
    /// The database's URL is not a PostgreSQL URL. The message does not repeat it, because it contains a password.
    #[error("the store's URL must be postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Url,
    /// The PostgreSQL server is too old.
    #[error("PostgreSQL {found} is too old: Tollgate needs 15 or later")]
    OldServer {
        /// Major version of the server.
        found: i64,
    },
    /// The database's encoding cannot store every text.
    #[error("the database's encoding is {found}: use CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0")]
    Encoding {
        /// The encoding, as PostgreSQL names it.
        found: String,
    },
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<MigrateError> for OpenError {
    fn from(error: MigrateError) -> Self {
        // Errors that any statement can return keep their own variant.
        use MigrateError::{Execute, ExecuteMigration};
        let known = matches!(&error, Execute(cause) | ExecuteMigration(cause, _) if is_known(cause));
        if known && let Execute(cause) | ExecuteMigration(cause, _) = error {
            return cause.into();
        }
        Self::Migration(error)
    }
}

/// Location of the store, and how to open it.
#[derive(Debug)]
pub struct Options<'a> {
    /// URL of a PostgreSQL server (`postgres://…`); `None` is SQLite in the data folder.
    pub url: Option<&'a Secret>,
    /// The data folder. For SQLite it is created if it is missing; PostgreSQL needs none until a node joins.
    pub data: &'a Path,
    /// Whether missing migrations are run.
    pub migrate: bool,
    /// Source of all times in the store.
    pub clock: Clock,
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
        let db = match options.url {
            None => open_file(options.data, options.migrate).await?,
            Some(url) => open_server(url, options.migrate).await?,
        };
        let ids = Mutex::new(Ids::new(options.clock.clone()));
        let (doubts, last_use, numbers) = Default::default();
        Ok(Self(Arc::new(StoreInner { db, clock: options.clock, ids, doubts, last_use, numbers })))
    }

    /// Opens a SQLite file of any name, creates it if it is missing, and runs missing migrations.
    pub(crate) async fn open_file(file: &Path, clock: Clock) -> Result<Self, OpenError> {
        let db = open_sqlite(file, true).await?;
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
        if let Db::Sqlite { writer, readers, lookups, checkpointer, .. } = &self.0.db {
            readers.close().await;
            lookups.close().await;
            checkpointer.close().await;
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

    /// Begins a transaction that only reads, without a time limit; it sees the store as of its first query.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn snapshot(&self) -> Result<Transaction, DatabaseError> {
        let mut transaction = self.0.db.snapshot().await?;
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
    pub async fn change(&self) -> Result<Transaction, DatabaseError> {
        let mut transaction = self.begin().await?;
        revision::raise(&mut transaction, self.now()).await?;
        Ok(transaction)
    }

    /// Begins a transaction that invalidates no cached look-up. It locks the revision's row but keeps the revision, so
    /// that no node repeats its look-ups, until `raise` is called.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn addition(&self) -> Result<Transaction, DatabaseError> {
        let mut transaction = self.begin().await?;
        revision::hold(&mut transaction, self.now()).await?;
        Ok(transaction)
    }

    /// Raises the revision within a transaction of [`addition`](Self::addition).
    pub(crate) async fn raise(&self, transaction: &mut Transaction) -> Result<(), DatabaseError> {
        revision::raise(transaction, self.now()).await
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
    let (readers, lookups) = (sqlite::readers(file).await?, sqlite::lookups(file).await?);
    Ok(Db::Sqlite { writer, readers, lookups, checkpointer: sqlite::checkpointer(file), log: sqlite::log(file) })
}

async fn open_server(url: &Secret, migrate: bool) -> Result<Db, OpenError> {
    let options = postgres::options(url.expose())?;
    MigrationConnection::Postgres(postgres::connect(&options).await?).bring_up_to_date(migrate).await?;
    let lookups = postgres::lookups(options.clone()).await?;
    Ok(Db::Postgres { pool: postgres::pool(options).await?, lookups })
}

/// Returns the database's file in the folder, and the lock that serialises opening it.
pub(crate) async fn claimed(data: &Path) -> Result<(PathBuf, File), FolderError> {
    let folder = data.to_owned();
    tokio::task::spawn_blocking(move || claim(folder))
        .await
        .unwrap_or_else(|ended| Err(FolderError { folder: data.to_owned(), source: std::io::Error::other(ended) }))
}

/// Creates a data folder that only this operating system user can access, if it is missing.
pub(crate) fn make_folder(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Creates the folder and the file, both only for this operating system user, and waits for other processes that open
/// it.
fn claim(folder: PathBuf) -> Result<(PathBuf, File), FolderError> {
    let claimed = make_folder(&folder).and_then(|()| {
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(folder.join(LOCK))?;
        lock.lock()?;
        let file = folder.join(FILE);
        match OpenOptions::new().create_new(true).append(true).mode(0o600).open(&file) {
            Ok(_) => Ok((file, lock)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok((file, lock)),
            Err(error) => Err(error),
        }
    });
    claimed.map_err(|source| FolderError { folder, source })
}

#[cfg(test)]
pub(crate) mod tests;
