//! What can go wrong with the store. No message holds a key's hash, an e-mail or another value of a row.

use std::path::PathBuf;

use access::{KeyId, UserId};
use thiserror::Error;

/// The longest name of a user or label of a key, in characters.
pub const TEXT_CHARS_MAX: usize = 200;

/// Why the store did not do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The data folder cannot be made or written to.
    #[error(
        "cannot write to the data folder {}: give the user that runs tollgate the right to write there, or name another \
         folder with --data",
        folder.display()
    )]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A newer tollgate has migrated the database.
    #[error("the database has version {found}, this tollgate knows {known}: run the newer tollgate, or restore a copy")]
    Newer {
        /// The database's version.
        found: i64,
        /// The newest version that this binary knows.
        known: i64,
    },
    /// The database awaits a migration, and migrations at start are switched off.
    #[error("the database has version {found}, this tollgate needs {known}: start once with store.migrate: true")]
    Older {
        /// The database's version; 0 when it is empty.
        found: i64,
        /// The version that is needed.
        known: i64,
    },
    /// A migration failed; the database stands as before it.
    #[error("the database could not be migrated")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// No plan has this name.
    #[error("there is no plan {name}")]
    NoPlan {
        /// The name asked for.
        name: String,
    },
    /// No such user.
    #[error("there is no such user")]
    NoUser {
        /// The id asked for; `None` when an e-mail was.
        id: Option<UserId>,
    },
    /// No such key.
    #[error("there is no key {id}")]
    NoKey {
        /// The id asked for.
        id: KeyId,
    },
    /// Another user has this e-mail.
    #[error("another user has this e-mail")]
    EmailTaken,
    /// A text that people write and read has control characters, or is too long.
    #[error("{field} has at most {} characters, none of them a control character", TEXT_CHARS_MAX)]
    Invalid {
        /// What was to be stored: "a user's name", "a key's label".
        field: &'static str,
    },
    /// The same key is in the store already.
    #[error("this key is in the store already")]
    KeyTaken,
    /// A value in the database is none that this binary writes.
    #[error("{table}.{column} holds a value that this tollgate does not know")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// Somebody else wrote the same rows at the same time; nothing was written.
    #[error("{table} is written to by two at once")]
    Contended {
        /// The table.
        table: &'static str,
    },
    /// The database did not answer as it should.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Refuses a text for people that would spoil a terminal or a log.
pub(crate) fn check_text(field: &'static str, text: &str) -> Result<(), StoreError> {
    let fine = text.chars().take(TEXT_CHARS_MAX + 1).count() <= TEXT_CHARS_MAX && !text.chars().any(char::is_control);
    if fine { Ok(()) } else { Err(StoreError::Invalid { field }) }
}
