//! Errors that every module of the store can return; each module defines its own errors. No message contains a key's
//! hash, an e-mail address or another value of a row.

use access::text;
use thiserror::Error;

/// Maximum length of a user's name or a key's label, in characters.
pub const TEXT_CHARS_MAX: usize = 200;

/// The error of a statement. Any statement can return any of them; functions call these "database errors".
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The database contains a value that this binary never writes.
    #[error("{table}.{column} contains a value that this version of Tollgate does not know")]
    Unreadable {
        /// Name of the table.
        table: &'static str,
        /// Name of the column.
        column: &'static str,
    },
    /// A pooler gives each transaction a different connection to PostgreSQL.
    #[error(
        "the database is behind a pooler (PgBouncer) in transaction mode: connect to PostgreSQL itself, or set \
         pool_mode = session for this database"
    )]
    Pooled,
    /// The database refuses the sign-in or a required privilege.
    #[error("the database refuses this user, password or database")]
    Forbidden(#[source] sqlx::Error),
    /// The database is unreachable or overloaded; a later attempt may succeed.
    #[error("the database is unreachable or overloaded")]
    Unavailable(#[source] sqlx::Error),
    /// The database does not accept writes.
    #[error("the database does not accept writes")]
    ReadOnly(#[source] Option<sqlx::Error>),
    /// The disk of the database is full.
    #[error("the database's disk is full")]
    Full(#[source] sqlx::Error),
    /// The database is damaged, or the file is not a database.
    #[error("the database is damaged, or not a database")]
    Damaged(#[source] sqlx::Error),
    /// Any other error of the database.
    #[error("the database reported an error")]
    Database(#[source] sqlx::Error),
}

impl DatabaseError {
    /// Returns `taken` if a row would have violated a unique index, otherwise the error itself.
    pub(crate) fn or_taken<E: From<Self>>(self, taken: E) -> E {
        let cause = if let Self::Database(error) = &self { error.as_database_error() } else { None };
        if cause.is_some_and(|cause| cause.is_unique_violation()) { taken } else { self.into() }
    }

    /// Whether the database ended the statement because it took too long (SQLSTATE 57014). Other statements may be faster.
    #[must_use]
    pub fn is_slow_statement(&self) -> bool {
        let Self::Unavailable(error) = self else { return false };
        error.as_database_error().and_then(|cause| cause.code()).is_some_and(|code| code == "57014")
    }

    /// The error of a response that did not arrive in time.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::Unavailable(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
    }
}

/// A text for people contains control characters or is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} must have at most {TEXT_CHARS_MAX} characters and no control characters")]
pub struct InvalidText {
    /// Name of the field: "a user's name", "a key's label".
    pub field: &'static str,
}

/// Whether a text for people is valid: at most [`TEXT_CHARS_MAX`] characters, all of them visible ([`text::is_plain`]).
#[must_use]
pub fn is_fit_text(text: &str) -> bool {
    text.chars().take(TEXT_CHARS_MAX + 1).count() <= TEXT_CHARS_MAX && text::is_plain(text)
}

/// Returns [`InvalidText`] if the text is invalid.
pub(crate) fn check_text(field: &'static str, text: &str) -> Result<(), InvalidText> {
    if is_fit_text(text) { Ok(()) } else { Err(InvalidText { field }) }
}
