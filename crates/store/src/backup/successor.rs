//! A store that is made beside another and takes its place when it is whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use access::Clock;

use crate::backup::draft::{Draft, ENDS, remove, with_end};
use crate::dialect::sqlite;
use crate::error::StoreError;
use crate::store::{FILE, Store, claimed, make_folder};

/// A store in the making, beside the one of its data folder, which nobody may use but to read.
#[derive(Debug)]
pub struct Successor {
    store: Store,
    draft: Draft,
    data: PathBuf,
}

impl Successor {
    /// Makes an empty store beside the one in `data`, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Folder`], and what the database meets.
    pub async fn begin(data: &Path, clock: Clock) -> Result<Self, StoreError> {
        let made = make_folder(data).and_then(|()| Draft::make(data.join(FILE).with_added_extension("new")));
        let draft = made.map_err(|source| StoreError::Folder { folder: data.to_owned(), source })?;
        let store = Store::open_file(draft.file(), clock).await?;
        Ok(Self { store, draft, data: data.to_owned() })
    }

    /// The store in the making.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Takes the place of the folder's store, which is named `aside`, in the same folder, from then on: as one file, or
    /// with its log where it is damaged. Up to the last step, which is a rename, that store stands as it stood.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where somebody has the store open, [`StoreError::Folder`], and what the database meets.
    pub async fn succeed(self, aside: &Path) -> Result<(), StoreError> {
        let Self { store, draft, data } = self;
        store.close_into_one_file().await?;
        let there = data.join(FILE).exists();
        // Whoever opens the store meanwhile waits for this.
        let (file, _lock) = claimed(&data).await?;
        if there {
            end_log(&file).await?;
        }
        let succeeded = if there { set_aside(&file, aside) } else { Ok(()) }.and_then(|()| draft.replace(&file));
        succeeded.map_err(|source| StoreError::Folder { folder: data, source })
    }
}

/// Brings all of a database into its one file, which proves that nobody else has it open. A damaged one stays as it is.
async fn end_log(file: &Path) -> Result<(), StoreError> {
    let ended = async {
        // Only read: SQLite deletes the log of a damaged one when who opened it to write goes.
        sqlite::first_number(file, "SELECT count(*) FROM sqlite_master").await?;
        let writer = sqlite::writer(file).await?;
        let ended = sqlite::end_log(&writer).await;
        writer.close().await;
        ended
    };
    match ended.await.map_err(StoreError::from) {
        Err(StoreError::Damaged(_)) => Ok(()),
        other => other,
    }
}

/// Gives a database a second name, and leaves nothing beside the first that SQLite would read with another database.
fn set_aside(file: &Path, aside: &Path) -> io::Result<()> {
    for end in ENDS {
        let (from, to) = (with_end(file, end), with_end(aside, end));
        // Not every filesystem has links.
        match fs::hard_link(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => fs::rename(&from, &to)?,
            Ok(()) => {}
        }
    }
    ENDS.iter().filter(|end| !end.is_empty()).try_for_each(|end| remove(&with_end(file, end)))
}

#[cfg(test)]
mod tests;
