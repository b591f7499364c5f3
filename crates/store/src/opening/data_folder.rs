//! The data folder of a SQLite database, and the lock that serialises opening it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::open_error::FolderError;

pub(crate) const FILE: &str = "tollgate.db";
/// Lock file that a process holds while it opens the database, so that two do not migrate it at once. Separate from the
/// database's file: closing any handle of that file would drop the locks that SQLite has on it.
pub(crate) const LOCK: &str = "tollgate.db.lock";

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
