//! Backup of a store as one file: a SQLite database, whichever database it was copied from.

mod draft;
mod successor;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use access::{Clock, Credits, Timestamp};
use meter::LimitPeriod;
use meter::Period;
use thiserror::Error;

pub use draft::Draft;
pub use successor::Successor;

use crate::copies::copy::{CopiedTable, CopyError, Progress, copy, copy_with};
use crate::error::DatabaseError;
use crate::open_error::{FolderError, OpenError};
use crate::opening::handle::Store;
use crate::sql::dialect::sqlite;
use crate::sql::{micros, signed, statements, timestamp, unsigned};

/// Time and version of the backup. This table exists only in backups, not in a store.
const TABLE: &str = "CREATE TABLE backup (taken_at BIGINT NOT NULL, version TEXT NOT NULL)";

const TAKE: &str = "INSERT INTO backup (taken_at, version) VALUES ($1, $2)";
const TAKEN: &str = "SELECT taken_at FROM backup";

statements! {
    ACTIVE = "SELECT id, hash, prefix, last4, label FROM api_keys WHERE revoked_at IS NULL ORDER BY id";
    REVOKED = "SELECT id FROM api_keys WHERE revoked_at IS NOT NULL ORDER BY id";
    SECRETS = "SELECT id, hash FROM api_keys WHERE revoked_at IS NULL ORDER BY id";
    PASSWORDS = "SELECT id, password FROM users WHERE password IS NOT NULL ORDER BY id";
    SUSPENDED = "SELECT id FROM users WHERE status = 'suspended' ORDER BY id";
    CENSUS = "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM api_keys),
        (SELECT CAST(coalesce(sum(requests), 0) AS BIGINT) FROM daily_usage)";
    UNSUSPENDED = "SELECT id FROM users WHERE status = 'active' ORDER BY id";
}

/// The error of a backup.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The file, or one next to it, cannot be created or written to.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The file is not a backup, or is cut.
    #[error("{} is not a whole backup made by `tollgate backup`", file.display())]
    NoBackup {
        /// Path of the file.
        file: PathBuf,
    },
    /// The file cannot be opened as a database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store cannot be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Objects that a restored backup would bring back although the current store has removed or changed them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BroughtBack {
    /// Keys that are revoked now and would become valid again: prefix, last four characters, label.
    pub keys: Vec<(String, String, String)>,
    /// Keys that have another secret now; restoring would make the secret of the backup valid again.
    pub secrets: Vec<(String, String, String)>,
    /// Number of users whose password has changed since; restoring would bring back the one in the backup.
    pub passwords: usize,
    /// Number of users that are suspended now and would be active again.
    pub users: usize,
    /// Credits of today that were used and could be used again.
    pub credits: Credits,
}

/// Number of rows in a store, for an operator who replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Number of users, including suspended users.
    pub users: u64,
    /// Number of keys, including revoked keys.
    pub keys: u64,
    /// Number of requests in the daily totals.
    pub requests: u64,
}

impl Store {
    /// Counts users, keys and requests.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn census(&self) -> Result<Census, DatabaseError> {
        let (users, keys, requests): (i64, i64, i64) = self.query(CENSUS).one().await?;
        Ok(Census { users: unsigned(users), keys: unsigned(keys), requests: unsigned(requests) })
    }
}

/// Writes a consistent copy of all of `store` to `file`, which must not exist. Nodes may continue to run. Until the
/// copy is complete, its name ends in `.part`; after an error no file remains.
///
/// # Errors
/// [`BackupError::Folder`] if the file cannot be created, [`BackupError::Copy`], [`BackupError::Open`], and database
/// errors.
pub async fn write(
    store: &Store,
    file: &Path,
    version: &str,
    progress: impl FnMut(Progress),
) -> Result<Vec<CopiedTable>, BackupError> {
    let unwritable = |source| FolderError { folder: file.to_owned(), source };
    if file.symlink_metadata().is_ok() {
        return Err(unwritable(io::ErrorKind::AlreadyExists.into()).into());
    }
    let draft = Draft::make(draft::with_end(file, ".part")).map_err(unwritable)?;
    let backup = Store::open_file(draft.file(), store.clock().clone()).await?;
    let written = fill(store, &backup, version, progress).await;
    // The backup is closed in any case, before the file is renamed or deleted.
    let closed = backup.close_into_one_file().await;
    let copied = written?;
    closed?;
    draft.name(file).map_err(unwritable)?;
    Ok(copied)
}

async fn fill(
    store: &Store,
    backup: &Store,
    version: &str,
    progress: impl FnMut(Progress),
) -> Result<Vec<CopiedTable>, CopyError> {
    let copied = copy(store, backup, progress).await?;
    let mut transaction = backup.begin().await?;
    transaction.query(TABLE).run().await?;
    transaction.query(TAKE).bind(micros(store.clock().now())).bind(version.to_owned()).run().await?;
    transaction.commit().await?;
    Ok(copied)
}

/// Copies `backup` into `to`, as [`copy`] does. Records in the spools may belong to users and keys that the backup does
/// not contain; they must not be assigned to others. New numbers therefore start above the current time in
/// milliseconds, which no number that was assigned one by one has reached. All sessions and links of the backup are
/// invalid, because they may have been ended or used since.
///
/// # Errors
/// The errors of [`copy`].
pub async fn restore(
    backup: &Store,
    to: &Store,
    progress: impl FnMut(Progress),
) -> Result<Vec<CopiedTable>, CopyError> {
    copy_with(backup, to, Some(signed(to.clock().now().unix_millis())), progress).await
}

/// Opens a backup to copy it, and returns the time at which it was made. A backup of an older version is migrated, so
/// `file` should be a copy.
///
/// # Errors
/// [`BackupError::NoBackup`], and [`BackupError::Open`].
pub async fn open(file: &Path, clock: Clock) -> Result<(Store, Timestamp), BackupError> {
    let none = || BackupError::NoBackup { file: file.to_owned() };
    if !file.is_file() || !is_whole(file).map_err(|_| none())? {
        return Err(none());
    }
    let taken = sqlite::first_number(file, TAKEN).await.map_err(|_| none())?;
    Ok((Store::open_file(file, clock).await?, timestamp(taken)))
}

/// Whether a database has all pages that its head counts. SQLite itself takes a missing end of the last page for zeros. Source:
/// SQLite, "Database File Format".
fn is_whole(file: &Path) -> io::Result<bool> {
    let mut head = [0; 32];
    let mut opened = File::open(file)?;
    opened.read_exact(&mut head)?;
    let [.., size_high, size_low, _, _, _, _, _, _, _, _, _, _, count_3, count_2, count_1, count_0] = head;
    // The number 1 is a page of 65,536 octets.
    let page = match u16::from_be_bytes([size_high, size_low]) {
        1 => 65_536,
        octets => u64::from(octets),
    };
    let pages = u64::from(u32::from_be_bytes([count_3, count_2, count_1, count_0]));
    Ok(opened.metadata()?.len() >= pages.saturating_mul(page))
}

/// Compares a backup with the store that it would replace.
///
/// # Errors
/// Database errors of either database.
pub async fn brought_back(backup: &Store, current: &Store) -> Result<BroughtBack, DatabaseError> {
    let active: Vec<(uuid::Uuid, Vec<u8>, String, String, String)> = backup.query(ACTIVE).all().await?;
    let revoked: Vec<(uuid::Uuid,)> = current.query(REVOKED).all().await?;
    let current_secrets: Vec<(uuid::Uuid, Vec<u8>)> = current.query(SECRETS).all().await?;
    let mut keys = Vec::new();
    let mut secrets = Vec::new();
    for (id, hash, prefix, last4, label) in active {
        let nth = current_secrets.binary_search_by_key(&id, |(id, _)| *id).ok();
        let now = nth.and_then(|nth| current_secrets.get(nth));
        if revoked.binary_search(&(id,)).is_ok() {
            keys.push((prefix, last4, label));
        } else if now.is_some_and(|(_, now)| *now != hash) {
            secrets.push((prefix, last4, label));
        }
    }
    let before: Vec<(uuid::Uuid, String)> = backup.query(PASSWORDS).all().await?;
    let after: Vec<(uuid::Uuid, String)> = current.query(PASSWORDS).all().await?;
    let has_still = |user: &(uuid::Uuid, String)| {
        after.binary_search_by_key(&user.0, |(id, _)| *id).ok().and_then(|nth| after.get(nth)) == Some(user)
    };
    let passwords = before.iter().filter(|user| !has_still(user)).count();
    let unsuspended: Vec<(uuid::Uuid,)> = backup.query(UNSUSPENDED).all().await?;
    let suspended: Vec<(uuid::Uuid,)> = current.query(SUSPENDED).all().await?;
    let users = unsuspended.iter().filter(|user| suspended.binary_search(user).is_ok()).count();
    let today = Period::containing(LimitPeriod::Day, current.clock().now().day());
    let credits = async |store: &Store| -> Result<Credits, DatabaseError> {
        let users = store.charges(today).await?.users;
        Ok(users.into_iter().fold(Credits::ZERO, |sum, (_, charge)| sum.saturating_add(charge.credits)))
    };
    let now = credits(current).await?;
    let then = credits(backup).await?;
    Ok(BroughtBack { keys, secrets, passwords, users, credits: now.saturating_sub(then) })
}

#[cfg(test)]
mod tests;
