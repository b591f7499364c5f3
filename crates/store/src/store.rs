//! The handle to the database.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use access::{Clock, Ids, Secret};
use sqlx::SqlSafeStr;
use uuid::Uuid;

use crate::api_keys::numbers::Numbers;
use crate::dialect::{Db, Kind, Query, Transaction, postgres, sqlite};
use crate::error::StoreError;
use crate::last_use::LastUse;
use crate::migration::Migrating;
use crate::sessions::Doubts;
use crate::{revision, statement};

pub(crate) const FILE: &str = "tollgate.db";
/// Held while a process opens the database, so that two do not migrate it at once. Apart from the database's file:
/// closing any handle of that would drop the locks that SQLite holds on it.
const LOCK: &str = "tollgate.db.lock";

/// Where the store is, and how to open it.
#[derive(Debug)]
pub struct Options<'a> {
    /// A PostgreSQL (`postgres://…`); none is SQLite in the data folder.
    pub url: Option<&'a Secret>,
    /// The data folder. SQLite's is made when it is absent, PostgreSQL needs none until a server joins.
    pub data: &'a Path,
    /// Whether missing migrations run.
    pub migrate: bool,
    /// Where all times come from.
    pub clock: Clock,
}

/// The database. Clones are the same store.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Db,
    clock: Clock,
    ids: Mutex<Ids>,
    doubts: Doubts,
    last_use: LastUse,
    numbers: Numbers,
}

impl Store {
    /// Opens the database, and brings its tables up to date where `migrate` says so.
    ///
    /// # Errors
    /// [`StoreError::Newer`], [`StoreError::Older`] (only without `migrate`), [`StoreError::Migration`], and what keeps us
    /// from it: of a file [`StoreError::Folder`], of a server [`StoreError::Url`], [`StoreError::OldServer`],
    /// [`StoreError::Encoding`], [`StoreError::Pooled`], [`StoreError::Forbidden`]; of both [`StoreError::Unavailable`],
    /// [`StoreError::ReadOnly`], [`StoreError::Full`], [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn open(options: Options<'_>) -> Result<Self, StoreError> {
        let db = match options.url {
            None => open_file(options.data, options.migrate).await?,
            Some(url) => open_server(url, options.migrate).await?,
        };
        let ids = Mutex::new(Ids::new(options.clock.clone()));
        let (doubts, last_use, numbers) = Default::default();
        Ok(Self(Arc::new(Inner { db, clock: options.clock, ids, doubts, last_use, numbers })))
    }

    /// Opens a SQLite file of any name, made where it is missing, and brings its tables up to date.
    pub(crate) async fn open_file(file: &Path, clock: Clock) -> Result<Self, StoreError> {
        let db = open_sqlite(file, true).await?;
        let (doubts, last_use, numbers) = Default::default();
        Ok(Self(Arc::new(Inner { db, ids: Mutex::new(Ids::new(clock.clone())), clock, doubts, last_use, numbers })))
    }

    /// Ends all connections to a file; all of it is in that one then.
    pub(crate) async fn close_into_one_file(self) -> Result<(), StoreError> {
        if let Db::Sqlite { writer, readers, lookups, checkpointer, .. } = &self.0.db {
            readers.close().await;
            lookups.close().await;
            checkpointer.close().await;
            sqlite::end_log(writer).await?;
        }
        self.close().await;
        Ok(())
    }

    /// Ends all connections. What was committed is kept; other clones fail from here on.
    pub async fn close(&self) {
        self.0.db.close().await;
    }

    /// Whether several servers may share it: a file has one.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.kind() == Kind::Postgres
    }

    /// A statement that only reads.
    pub(crate) fn query(&self, sql: impl SqlSafeStr) -> Query<'_> {
        self.0.db.query(sql)
    }

    /// A statement that looks something up for requests that wait: other reads do not hold it up.
    pub(crate) fn look_up(&self, sql: impl SqlSafeStr) -> Query<'_> {
        self.0.db.look_up(sql)
    }

    /// A transaction that may write.
    pub(crate) async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(self.0.db.begin().await?)
    }

    /// A transaction that only reads, and sees the store as it stands at its first question.
    pub(crate) async fn snapshot(&self) -> Result<Transaction, StoreError> {
        let mut transaction = self.0.db.snapshot().await?;
        transaction.without_time_limit().await?;
        Ok(transaction)
    }

    /// Which database it is.
    pub(crate) fn kind(&self) -> Kind {
        self.0.db.kind()
    }

    /// A transaction that changes users, keys or plans. The revision is raised first: on a database with several
    /// writers its row is the lock behind which numbers are given.
    pub(crate) async fn change(&self) -> Result<Transaction, StoreError> {
        let mut transaction = self.begin().await?;
        revision::raise(&mut transaction, self.now()).await?;
        Ok(transaction)
    }

    /// The same for what changes no answer that was given before: the revision stays, so that nobody asks again, until
    /// [`raise`](Self::raise) is called.
    pub(crate) async fn addition(&self) -> Result<Transaction, StoreError> {
        let mut transaction = self.begin().await?;
        revision::hold(&mut transaction, self.now()).await?;
        Ok(transaction)
    }

    /// Raises the revision within a transaction of [`addition`](Self::addition).
    pub(crate) async fn raise(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        revision::raise(transaction, self.now()).await
    }

    /// Answers when all that was committed before survives a power cut; blocks until the disk has it.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.0.db.sync().map_err(|error| StoreError::Database(error.into()))
    }

    /// Brings what the write-ahead log of a file holds into the file, beside whoever writes.
    pub(crate) async fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(self.0.db.checkpoint().await?)
    }

    /// The same of what came meanwhile, so that the log begins anew and stays small.
    pub(crate) async fn begin_log_anew(&self) -> Result<(), StoreError> {
        Ok(self.0.db.begin_log_anew().await?)
    }

    /// The moment, as it is stored.
    pub(crate) fn now(&self) -> i64 {
        statement::micros(self.0.clock.now())
    }

    /// What was seen of keys' uses.
    pub(crate) fn last_use(&self) -> &LastUse {
        &self.0.last_use
    }

    /// Numbers of keys that were taken.
    pub(crate) fn numbers(&self) -> &Numbers {
        &self.0.numbers
    }

    /// The source of all times.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Renewals of sessions of which nobody knows whether they were kept.
    pub(crate) fn doubts(&self) -> &Doubts {
        &self.0.doubts
    }

    /// An id for a new row.
    pub(crate) fn new_id(&self) -> Uuid {
        self.0.ids.lock().unwrap_or_else(PoisonError::into_inner).next_uuid()
    }
}

async fn open_file(data: &Path, migrate: bool) -> Result<Db, StoreError> {
    let (file, lock) = claimed(data).await?;
    let db = open_sqlite(&file, migrate).await;
    drop(lock);
    db
}

async fn open_sqlite(file: &Path, migrate: bool) -> Result<Db, StoreError> {
    let writer = sqlite::writer(file).await?;
    Migrating::Sqlite(writer.acquire().await?).bring_up_to_date(migrate).await?;
    let (readers, lookups) = (sqlite::readers(file).await?, sqlite::lookups(file).await?);
    Ok(Db::Sqlite { writer, readers, lookups, checkpointer: sqlite::checkpointer(file), log: sqlite::log(file) })
}

async fn open_server(url: &Secret, migrate: bool) -> Result<Db, StoreError> {
    let options = postgres::options(url.expose())?;
    Migrating::Postgres(postgres::connect(&options).await?).bring_up_to_date(migrate).await?;
    let lookups = postgres::lookups(options.clone()).await?;
    Ok(Db::Postgres { pool: postgres::pool(options).await?, lookups })
}

/// The database's file in the folder, and the lock of those who open it.
pub(crate) async fn claimed(data: &Path) -> Result<(PathBuf, File), StoreError> {
    let folder = data.to_owned();
    tokio::task::spawn_blocking(move || claim(folder)).await.unwrap_or_else(|ended| {
        Err(StoreError::Folder { folder: data.to_owned(), source: std::io::Error::other(ended) })
    })
}

/// Makes a data folder, for this user alone, where there is none.
pub(crate) fn make_folder(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes the folder and the file, both for this user alone, and waits for other processes that open it.
fn claim(folder: PathBuf) -> Result<(PathBuf, File), StoreError> {
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
    claimed.map_err(|source| StoreError::Folder { folder, source })
}

#[cfg(test)]
pub(crate) mod tests;
