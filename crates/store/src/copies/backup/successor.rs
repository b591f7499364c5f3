//! A store that is built next to another store and replaces it when it is complete.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use access::Clock;

use crate::copies::backup::BackupError;
use crate::copies::backup::draft::{Draft, ENDS, LOG_ENDS, remove, with_end};
use crate::error::DatabaseError;
use crate::open_error::FolderError;
use crate::opening::data_folder::{FILE, claimed, make_folder};
use crate::opening::handle::Store;
use crate::sql::dialect::sqlite;

/// A store under construction, next to the store of its data folder, which may only be read.
#[derive(Debug)]
pub struct Successor {
    store: Store,
    draft: Draft,
    data: PathBuf,
}

impl Successor {
    /// Creates an empty store next to the one in `data`, if that exists.
    ///
    /// # Errors
    /// [`BackupError::Folder`], and [`BackupError::Open`].
    pub async fn begin(data: &Path, clock: Clock) -> Result<Self, BackupError> {
        let made = make_folder(data).and_then(|()| Draft::make(data.join(FILE).with_added_extension("new")));
        let draft = made.map_err(|source| FolderError { folder: data.to_owned(), source })?;
        let store = Store::open_file(draft.file(), clock).await?;
        Ok(Self { store, draft, data: data.to_owned() })
    }

    /// Returns the store under construction.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Replaces the folder's store, which is renamed to `aside` in the same folder: as one file, or together with its
    /// log if it is damaged. A log without a store is renamed too. Until the last step, a rename, the old store remains
    /// unchanged.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] if another process has the store open, [`BackupError::Folder`], and database errors.
    pub async fn succeed(self, aside: &Path) -> Result<(), BackupError> {
        let Self { store, draft, data } = self;
        store.close_into_one_file().await?;
        let there = data.join(FILE).exists();
        // A process that opens the store now waits for this lock.
        let (file, _lock) = claimed(&data).await?;
        let ends: &[&str] = if there {
            end_log(&file).await?;
            &ENDS
        } else {
            // A killed process may have left the log of a store that was moved away.
            &LOG_ENDS
        };
        let succeeded = set_aside(&file, aside, ends).and_then(|()| draft.replace(&file));
        succeeded.map_err(|source| FolderError { folder: data, source }.into())
    }
}

/// Copies all of a database into its one file, which proves that no other process has it open. A damaged database stays
/// unchanged.
async fn end_log(file: &Path) -> Result<(), DatabaseError> {
    let ended = async {
        // This check only reads: SQLite deletes the log of a damaged database when a connection that may write closes.
        sqlite::first_number(file, "SELECT count(*) FROM sqlite_master").await?;
        let writer = sqlite::writer(file).await?;
        let ended = sqlite::end_log(&writer).await;
        writer.close().await;
        ended
    };
    match ended.await.map_err(DatabaseError::from) {
        Err(DatabaseError::Damaged(_)) => Ok(()),
        other => other,
    }
}

/// Gives a database's files with these suffixes a second name, and leaves no file next to the first name that SQLite
/// would read with another database.
fn set_aside(file: &Path, aside: &Path, ends: &[&str]) -> io::Result<()> {
    for end in ends {
        let from = with_end(file, end);
        let to = with_end(aside, end);
        // Some filesystems do not support hard links.
        match fs::hard_link(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => fs::rename(&from, &to)?,
            Ok(()) => {}
        }
    }
    LOG_ENDS.iter().try_for_each(|end| remove(&with_end(file, end)))
}

#[cfg(test)]
mod tests;
