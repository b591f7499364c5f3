//! Errors of the store. No message contains a key's hash, an e-mail address or another value of a row.

use std::path::PathBuf;

use access::{Fingerprint, KeyId, ProviderKeyId, UserId, VaultError, text};
use sqlx::migrate::MigrateError;
use thiserror::Error;

use crate::sql::dialect::{fault, is_known};

/// Maximum length of a user's name or a key's label, in characters.
pub const TEXT_CHARS_MAX: usize = 200;

/// The error of an operation on the store. Any statement can return [`Unavailable`](Self::Unavailable),
/// [`ReadOnly`](Self::ReadOnly), [`Full`](Self::Full), [`Damaged`](Self::Damaged), [`Forbidden`](Self::Forbidden),
/// [`Pooled`](Self::Pooled) and [`Database`](Self::Database): functions call these "database errors".
#[derive(Debug, Error)]
pub enum StoreError {
    /// The data folder cannot be created or written to.
    #[error(
        "cannot write to the data folder {}: grant write permission to the user that runs Tollgate, or set another \
         folder with --data",
        folder.display()
    )]
    Folder {
        /// Path of the data folder.
        folder: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A newer version has migrated the database.
    #[error("the database has version {found}, this Tollgate knows {known}: run the newer version, or restore a copy")]
    Newer {
        /// Version of the database.
        found: i64,
        /// Newest version that this binary knows.
        known: i64,
    },
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
    /// No plan has this name.
    #[error("there is no plan {name}")]
    NoPlan {
        /// The requested plan name.
        name: String,
    },
    /// Another plan has this name.
    #[error("a plan named {name} already exists")]
    PlanTaken {
        /// Name of the existing plan.
        name: String,
    },
    /// A plan's name, quota, rate limit or budgets are invalid.
    #[error(
        "a plan's name has 1 to 64 of a-z, 0-9, `-`, `_` and `.`, its credits_per_day and the amounts of its budgets are at \
         most {} (money in nano-USD), its requests_per_minute at most {}, and it has one budget per measure and period",
        access::Plan::CREDITS_MAX.0,
        access::Plan::REQUESTS_MAX
    )]
    InvalidPlan,
    /// The store has the maximum number of plans.
    #[error("the store has the maximum of {} plans", crate::plans::PLANS_MAX)]
    TooManyPlans,
    /// A budget exceeds the maximum amount.
    #[error("the amount of a budget must be at most {} (money in nano-USD)", access::Budget::AMOUNT_MAX.0)]
    BudgetTooLarge,
    /// The store has the maximum number of budgets.
    #[error("the store has the maximum of {} budgets: remove some, or use plan budgets", crate::budgets::BUDGETS_MAX)]
    TooManyBudgets,
    /// The user does not exist.
    #[error("the user does not exist")]
    NoUser {
        /// The requested id; `None` if the request named an e-mail address.
        id: Option<UserId>,
    },
    /// The key does not exist.
    #[error("there is no key {id}")]
    NoKey {
        /// Id of the requested key.
        id: KeyId,
    },
    /// Another user has this e-mail address.
    #[error("another user has this e-mail address")]
    EmailTaken,
    /// The user has the maximum number of keys.
    #[error("this user has the maximum of {} keys that are not revoked", crate::api_keys::KEYS_MAX)]
    TooManyKeys,
    /// The key is permanently revoked.
    #[error("the key is revoked: create another one")]
    KeyRevoked,
    /// A bound of the key is invalid.
    #[error(transparent)]
    UnfitBound(#[from] access::bounds::UnfitBound),
    /// The user is the last admin who can sign in with a password.
    #[error(
        "this is the last admin with active status and a password: create another active admin with a password first"
    )]
    LastAdmin,
    /// An admin exists already; only an admin can create further ones.
    #[error("an admin already exists")]
    AdminExists,
    /// The credential that was checked is no longer valid: the password has changed, or the user is suspended.
    #[error("the password has changed since it was checked, or the user is suspended")]
    CredentialGone,
    /// The link does not exist, or it is used, withdrawn or expired; the response does not reveal which.
    #[error("the link does not exist, or it is used or expired")]
    NoLink,
    /// The store has the maximum number of open links.
    #[error("the store has the maximum of {} open links: withdraw some first", crate::links::OPEN_MAX)]
    TooManyLinks,
    /// A text for people contains control characters or is too long.
    #[error("{field} must have at most {} characters and no control characters", TEXT_CHARS_MAX)]
    Invalid {
        /// Name of the field: "a user's name", "a key's label".
        field: &'static str,
    },
    /// The provider credential does not exist.
    #[error("there is no credential {id}")]
    NoProviderKey {
        /// Id of the requested credential.
        id: ProviderKeyId,
    },
    /// Another credential of the same owner has this label.
    #[error("another credential has this label")]
    LabelTaken,
    /// The owner has the maximum number of credentials.
    #[error("the owner has the maximum of {} credentials", crate::provider_keys::PROVIDER_KEYS_MAX)]
    TooManyProviderKeys,
    /// A rotation has ended: this node's master key may no longer seal credentials.
    #[error("the master key of this server is retired: start it with the key that replaced it")]
    MasterKeyRetired,
    /// The store's credentials are sealed with another master key, which this node does not have.
    #[error("the store's credentials are sealed with the master key {newest}, which this server does not have")]
    OtherMasterKey {
        /// Fingerprint of the master key in use.
        newest: Fingerprint,
    },
    /// A credential could not be sealed.
    #[error("the credential could not be sealed")]
    Sealing(#[source] VaultError),
    /// The store already contains the same key.
    #[error("this API key already exists in the store")]
    KeyTaken,
    /// The database contains a value that this binary never writes.
    #[error("{table}.{column} contains a value that this version of Tollgate does not know")]
    Unreadable {
        /// Name of the table.
        table: &'static str,
        /// Name of the column.
        column: &'static str,
    },
    /// It is unknown whether the database committed a batch of usage that earlier runs spooled; the next batch finds
    /// out.
    #[error("it is unknown whether the last batch of usage was stored")]
    InDoubt,
    /// Another process wrote the same rows at the same time; nothing was written.
    #[error("two processes write to {table} at the same time")]
    Contended {
        /// Name of the table.
        table: &'static str,
    },
    /// The totals of a day still differ from its usage events after the missing amounts were added.
    #[error(
        "totals of {day} are still wrong after their correction: another process changes them, or prevents their change"
    )]
    Unmended {
        /// Day whose totals differ.
        day: access::Day,
    },
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
    /// Another node uses the node id of this one.
    #[error(
        "another Tollgate was started with a copy of this data folder: each needs its own folder. Usage of this one \
         remains in its spool; stop the other one and start this one again"
    )]
    Superseded,
    /// The operation requires that no node runs.
    #[error("Tollgate servers run on this store ({servers}): stop them first")]
    Running {
        /// Number of running nodes.
        servers: usize,
    },
    /// The file is not a backup.
    #[error("{} is not a backup made by `tollgate backup`", file.display())]
    NoBackup {
        /// Path of the file.
        file: PathBuf,
    },
    /// The target store of a copy is not empty.
    #[error("the target store of the copy is not empty: {table} has rows")]
    NotEmpty {
        /// Name of a table that contains rows.
        table: &'static str,
    },
    /// The copy differs from its source; nothing was kept.
    #[error("the copy of {table} differs from its source: nothing of it was kept")]
    Differs {
        /// Name of the table that differs.
        table: &'static str,
    },
    /// Any other error of the database.
    #[error("the database reported an error")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        fault(error)
    }
}

impl From<MigrateError> for StoreError {
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

/// Whether a text for people is valid: at most [`TEXT_CHARS_MAX`] characters, all of them visible ([`text::is_plain`]).
#[must_use]
pub fn is_fit_text(text: &str) -> bool {
    text.chars().take(TEXT_CHARS_MAX + 1).count() <= TEXT_CHARS_MAX && text::is_plain(text)
}

/// Returns [`StoreError::Invalid`] if the text is invalid.
pub(crate) fn check_text(field: &'static str, text: &str) -> Result<(), StoreError> {
    if is_fit_text(text) { Ok(()) } else { Err(StoreError::Invalid { field }) }
}
