//! The errors of opening a store.

use std::path::PathBuf;

use sqlx::migrate::MigrateError;
use thiserror::Error;

use crate::error::DatabaseError;

/// A newer version has migrated the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the database has version {found}, this Tollgate knows {known}: run the newer version, or restore a copy")]
pub struct NewerDatabase {
    /// Version of the database.
    pub found: i64,
    /// Newest version that this binary knows.
    pub known: i64,
}

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
