//! What can go wrong with the store. No message holds a key's hash, an e-mail or another value of a row.

use std::path::PathBuf;

use access::{Fingerprint, KeyId, ProviderKeyId, UserId, VaultError, text};
use sqlx::migrate::MigrateError;
use thiserror::Error;

use crate::dialect::{fault, is_known};

/// The longest name of a user or label of a key, in characters.
pub const TEXT_CHARS_MAX: usize = 200;

/// Why the store did not do what was asked. Any statement can meet [`Unavailable`](Self::Unavailable),
/// [`ReadOnly`](Self::ReadOnly), [`Full`](Self::Full), [`Damaged`](Self::Damaged), [`Forbidden`](Self::Forbidden),
/// [`Pooled`](Self::Pooled) and [`Database`](Self::Database): functions call these "what the database meets".
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
    Migration(#[source] MigrateError),
    /// No plan has this name.
    #[error("there is no plan {name}")]
    NoPlan {
        /// The name asked for.
        name: String,
    },
    /// Another plan has this name.
    #[error("there is a plan {name} already")]
    PlanTaken {
        /// The name.
        name: String,
    },
    /// A plan has a name, a quota, a rate or budgets that none may have.
    #[error(
        "a plan's name has 1 to 64 of a-z, 0-9, `-`, `_` and `.`, its credits_per_day and the amounts of its budgets are at \
         most {} (money in billionths), its requests_per_minute at most {}, and it has one budget for each measure and period",
        access::Plan::CREDITS_MAX,
        access::Plan::REQUESTS_MAX
    )]
    InvalidPlan,
    /// There are as many plans as a store takes.
    #[error("there are {} plans already, and no room for more", crate::plans::PLANS_MAX)]
    TooManyPlans,
    /// A budget is larger than what is kept.
    #[error("a budget is at most {} (money in billionths)", access::Budget::AMOUNT_MAX)]
    BudgetTooLarge,
    /// There are as many budgets as a store takes.
    #[error("there are {} budgets already: remove some, or use those of plans", crate::budgets::BUDGETS_MAX)]
    TooManyBudgets,
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
    /// The user has as many keys as one may have.
    #[error("this user has {} keys that are not revoked, and no room for more", crate::api_keys::KEYS_MAX)]
    TooManyKeys,
    /// The key is revoked, for good.
    #[error("the key is revoked: make another one")]
    KeyRevoked,
    /// A key cannot be bound so.
    #[error(transparent)]
    UnfitBound(#[from] access::bounds::UnfitBound),
    /// Without this user nobody who signs in by password is an admin.
    #[error("this is the last admin who is active and has a password: there must be another one first")]
    LastAdmin,
    /// The first admin is there: further ones are made by an admin.
    #[error("there is an admin already")]
    AdminExists,
    /// What was checked before does not hold any more: the password is another one by now, or the user is suspended.
    #[error("the password was changed meanwhile, or its user is suspended")]
    CredentialGone,
    /// No such link, or it is used, taken back or expired: nobody is told which.
    #[error("there is no such link, or it is used or expired")]
    NoLink,
    /// There are as many open links as a store takes.
    #[error("there are {} open links already: take some back first", crate::links::OPEN_MAX)]
    TooManyLinks,
    /// A text that people write and read has control characters, or is too long.
    #[error("{field} has at most {} characters, none of them a control character", TEXT_CHARS_MAX)]
    Invalid {
        /// What was to be stored: "a user's name", "a key's label".
        field: &'static str,
    },
    /// No such credential of a provider.
    #[error("there is no credential {id}")]
    NoProviderKey {
        /// The id asked for.
        id: ProviderKeyId,
    },
    /// Another credential of the same owner has this label.
    #[error("another credential has this label")]
    LabelTaken,
    /// The owner has as many credentials as one may have.
    #[error("there are {} credentials already, and no room for more", crate::provider_keys::PROVIDER_KEYS_MAX)]
    TooManyProviderKeys,
    /// A rotation has ended: this server's master key seals nothing any more.
    #[error("the master key of this server is retired: start it with the one that followed")]
    MasterKeyRetired,
    /// The store's credentials are sealed with another master key, which this server does not have.
    #[error("the store's credentials are sealed with the master key {newest}, which this server does not have")]
    OtherMasterKey {
        /// The one in use.
        newest: Fingerprint,
    },
    /// A credential could not be sealed.
    #[error("the credential could not be sealed")]
    Sealing(#[source] VaultError),
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
    /// The database did not answer whether it has stored a batch of what earlier runs spooled; the next batch finds out.
    #[error("nobody knows yet whether the last batch of usage was stored")]
    InDoubt,
    /// Somebody else wrote the same rows at the same time; nothing was written.
    #[error("{table} is written to by two at once")]
    Contended {
        /// The table.
        table: &'static str,
    },
    /// A day's totals are not what its events say, though what they lack was added.
    #[error(
        "totals of {day} are still wrong after they were mended: something else writes to them, or keeps them from being written"
    )]
    Unmended {
        /// Of which day.
        day: access::Day,
    },
    /// The database's URL is none of PostgreSQL's. It is not repeated: there is a password in it.
    #[error("the store's URL must be postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Url,
    /// The server is too old.
    #[error("PostgreSQL {found} is too old: tollgate needs 15 or later")]
    OldServer {
        /// Its major version.
        found: i64,
    },
    /// The database's encoding cannot hold every text.
    #[error("the database's encoding is {found}: make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0")]
    Encoding {
        /// The encoding, as PostgreSQL names it.
        found: String,
    },
    /// Something between us and PostgreSQL gives each transaction another connection.
    #[error(
        "the database is behind a pooler (PgBouncer) in transaction mode: connect to PostgreSQL itself, or set \
         pool_mode = session for this database"
    )]
    Pooled,
    /// The database does not let us in, or not do what we must.
    #[error("the database refuses this user, password or database")]
    Forbidden(#[source] sqlx::Error),
    /// The database cannot be reached, or is too busy: later it may work.
    #[error("the database is away or too busy")]
    Unavailable(#[source] sqlx::Error),
    /// The database takes no writes.
    #[error("the database cannot be written to")]
    ReadOnly(#[source] Option<sqlx::Error>),
    /// The database's disk is full.
    #[error("the database's disk is full")]
    Full(#[source] sqlx::Error),
    /// The database is damaged, or none.
    #[error("the database is damaged, or no database")]
    Damaged(#[source] sqlx::Error),
    /// Another server works under this one's node id.
    #[error(
        "another tollgate was started with a copy of this data folder: each needs a folder of its own. What this one has \
         used waits in its spool; stop the other one and start this one again"
    )]
    Superseded,
    /// What was asked for is only done while no server runs.
    #[error("servers of tollgate run on this store ({servers}): stop them first")]
    Running {
        /// How many.
        servers: usize,
    },
    /// A file is no backup.
    #[error("{} is no backup that `tollgate backup` made", file.display())]
    NoBackup {
        /// The file.
        file: PathBuf,
    },
    /// A copy needs an empty store to go to.
    #[error("the store that should take the copy is not empty: {table} has rows")]
    NotEmpty {
        /// A table with rows.
        table: &'static str,
    },
    /// What was written and what is read back are not the same; nothing was kept.
    #[error("the copy of {table} differs from what was copied: nothing of it was kept")]
    Differs {
        /// The table.
        table: &'static str,
    },
    /// The database did not answer as it should.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        fault(error)
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        // What any statement can meet is told as there.
        use MigrateError::{Execute, ExecuteMigration};
        let known = matches!(&error, Execute(cause) | ExecuteMigration(cause, _) if is_known(cause));
        if known && let Execute(cause) | ExecuteMigration(cause, _) = error {
            return cause.into();
        }
        Self::Migration(error)
    }
}

/// Whether a text for people fits: at most [`TEXT_CHARS_MAX`] characters, all of them visible ([`text::is_plain`]).
#[must_use]
pub fn is_fit_text(text: &str) -> bool {
    text.chars().take(TEXT_CHARS_MAX + 1).count() <= TEXT_CHARS_MAX && text::is_plain(text)
}

/// Refuses one that does not.
pub(crate) fn check_text(field: &'static str, text: &str) -> Result<(), StoreError> {
    if is_fit_text(text) { Ok(()) } else { Err(StoreError::Invalid { field }) }
}
