//! The handle to the database.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use access::{Clock, Ids};
use uuid::Uuid;

use crate::dialect::{self, Pool, Transaction};
use crate::error::StoreError;
use crate::{migration, revision, statement};

const FILE: &str = "tollgate.db";
/// Held while a process opens the database, so that two do not migrate it at once. Apart from the database's file:
/// closing any handle of that would drop the locks that SQLite holds on it.
const LOCK: &str = "tollgate.db.lock";

/// How to open the store.
#[derive(Debug)]
pub struct Options<'a> {
    /// The data folder; made when it is absent.
    pub data: &'a Path,
    /// Whether missing migrations run.
    pub migrate: bool,
    /// Where all times come from.
    pub clock: Clock,
}

/// The database: one connection that writes, several that read. Clones are the same store.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    log: PathBuf,
    writer: Pool,
    readers: Pool,
    clock: Clock,
    ids: Mutex<Ids>,
}

impl Store {
    /// Opens `tollgate.db` in the data folder, and brings its tables up to date where `migrate` says so.
    ///
    /// # Errors
    /// [`StoreError::Folder`], [`StoreError::Newer`], [`StoreError::Older`] (only without `migrate`),
    /// [`StoreError::Migration`], [`StoreError::Database`].
    pub async fn open(options: Options<'_>) -> Result<Self, StoreError> {
        let folder = options.data.to_owned();
        let claimed = tokio::task::spawn_blocking(move || claim(folder)).await.unwrap_or_else(|ended| {
            Err(StoreError::Folder { folder: options.data.to_owned(), source: std::io::Error::other(ended) })
        });
        let (file, lock) = claimed?;
        let writer = dialect::writer(&file).await?;
        migration::bring_up_to_date(&writer, options.migrate).await?;
        drop(lock);
        let readers = dialect::readers(&file).await?;
        let ids = Mutex::new(Ids::new(options.clock.clone()));
        Ok(Self(Arc::new(Inner { log: dialect::log(&file), writer, readers, clock: options.clock, ids })))
    }

    /// Ends all connections. What was committed is kept; other clones fail from here on.
    pub async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.close().await;
    }

    /// For statements that only read.
    pub(crate) fn readers(&self) -> &Pool {
        &self.0.readers
    }

    /// A transaction that may write.
    pub(crate) async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(dialect::begin(&self.0.writer).await?)
    }

    /// A transaction that changes users, keys or plans. The revision is raised first: on a database with several
    /// writers its row is the lock behind which numbers are given.
    pub(crate) async fn change(&self) -> Result<Transaction, StoreError> {
        let mut transaction = self.begin().await?;
        revision::raise(&mut transaction, self.now()).await?;
        Ok(transaction)
    }

    /// Answers when all that was committed before survives a power cut; blocks until the disk has it.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        dialect::sync(&self.0.log).map_err(|error| StoreError::Database(error.into()))
    }

    /// The moment, as it is stored.
    pub(crate) fn now(&self) -> i64 {
        statement::micros(self.0.clock.now())
    }

    /// The source of all times.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// An id for a new row.
    pub(crate) fn new_id(&self) -> Uuid {
        self.0.ids.lock().unwrap_or_else(PoisonError::into_inner).next_uuid()
    }
}

/// Makes the folder and the file, both for this user alone, and waits for other processes that open it.
fn claim(folder: PathBuf) -> Result<(PathBuf, File), StoreError> {
    let claimed = DirBuilder::new().recursive(true).mode(0o700).create(&folder).and_then(|()| {
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
