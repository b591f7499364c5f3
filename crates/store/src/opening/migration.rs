//! Migrations of the tables, up and down, in sqlx's layout: `migrations/DATABASE/NNN_name.{up,down}.sql`.
//!
//! Nodes one minor version apart may share a store. A migration that only adds may therefore run while older nodes
//! work. `schema_floor` contains the oldest migration that a binary must know; a migration that removes something that
//! older binaries use raises it.

use std::fs::OpenOptions;
use std::path::Path;

use sqlx::migrate::{AppliedMigration, Migrate, Migration, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, Sqlite};
use thiserror::Error;

use crate::error::DatabaseError;
use crate::open_error::{FolderError, NewerDatabase, OpenError};
use crate::opening::data_folder::claimed;
use crate::opening::options::Options;
use crate::opening::running_servers::{self, RunningServers};
use crate::sql::dialect::{postgres, sqlite};
use crate::sql::{StoreKind, Transaction, statements, unsigned};

static SQLITE: Migrator = sqlx_macros::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx_macros::migrate!("migrations/postgres");

statements! {
    FLOOR = "SELECT max(version) FROM schema_floor";
    NEWEST = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
}
/// Locked by a node on its data folder while it runs; the binary takes the lock.
const SERVER_LOCK: &str = "tollgate.lock";
/// The folder of a node that has replaced another one in an upgrade in place. Its lock is there.
const SUCCESSOR: &str = "next";

/// The error of undoing a migration.
#[derive(Debug, Error)]
pub enum UndoError {
    /// The database cannot be opened or migrated.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Nodes run on the database.
    #[error(transparent)]
    Running(#[from] RunningServers),
}

/// Migrations of a database compared with those of this binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Migrations that the binary knows or the database has, oldest first.
    pub steps: Vec<Step>,
    /// Oldest version that a binary must know to run on the database; 0 if it is empty.
    pub floor: i64,
}

/// One migration and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Number of the migration.
    pub version: i64,
    /// Name of the migration; `None` if a newer version of Tollgate ran it.
    pub name: Option<String>,
    /// Whether the database has the migration.
    pub applied: bool,
}

impl Status {
    /// Returns the newest version that the database has; 0 if it is empty.
    #[must_use]
    pub fn found(&self) -> i64 {
        self.steps.iter().filter(|step| step.applied).map(|step| step.version).max().unwrap_or(0)
    }

    /// Returns the newest version that this binary knows.
    #[must_use]
    pub fn known(&self) -> i64 {
        self.steps.iter().filter(|step| step.name.is_some()).map(|step| step.version).max().unwrap_or(0)
    }

    /// Returns an error if this binary cannot work on the database.
    fn check(&self) -> Result<(), NewerDatabase> {
        let found = self.found();
        let known = self.known();
        if found > known && self.floor > known { Err(NewerDatabase { found, known }) } else { Ok(()) }
    }

    fn is_behind(&self) -> bool {
        self.steps.iter().any(|step| step.name.is_some() && !step.applied)
    }
}

/// Returns the migrations of the database. A missing database is created; an existing one is not changed.
///
/// # Errors
/// The errors of [`Store::open`](crate::Store::open), except those about versions.
pub async fn status(options: &Options<'_>) -> Result<Status, OpenError> {
    let (mut connection, _lock) = connect(options).await?;
    connection.status().await
}

/// Runs the missing migrations, and returns their versions. A database that is ahead of this binary is not changed.
///
/// # Errors
/// The errors of [`Store::open`](crate::Store::open).
pub async fn up(options: &Options<'_>) -> Result<Vec<i64>, OpenError> {
    let (mut connection, _lock) = connect(options).await?;
    let before = connection.status().await?;
    before.check()?;
    if before.found() > before.known() {
        return Ok(Vec::new());
    }
    connection.run().await?;
    Ok(before.steps.iter().filter(|step| !step.applied).map(|step| step.version).collect())
}

/// The newest migration of the database, and the data that undoing it deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// Number of the migration.
    pub version: i64,
    /// Name of the migration.
    pub name: String,
    /// Every table that is dropped, and every column (`TABLE.COLUMN`), with the table's number of rows.
    pub losses: Vec<(String, u64)>,
}

/// Returns the data that [`down`] would delete; `None` if no migration is left to undo. The database is not changed.
///
/// # Errors
/// The errors of [`down`].
pub async fn undo(options: &Options<'_>) -> Result<Option<Undo>, UndoError> {
    let (mut connection, _lock) = connect(options).await?;
    let Some(Undoable { version, name, .. }) = connection.undoable(options).await? else { return Ok(None) };
    let losses = connection.losses(version).await?;
    Ok(Some(Undo { version, name, losses }))
}

/// Undoes the newest migration, including all data that only it can store; `false` if the newest is no longer
/// `version`. No node may start meanwhile.
///
/// # Errors
/// [`UndoError::Running`], [`OpenError::Newer`] (only a binary that knows a migration can undo it), and the errors of
/// [`Store::open`](crate::Store::open).
pub async fn down(options: &Options<'_>, version: i64) -> Result<bool, UndoError> {
    let (mut connection, _lock) = connect(options).await?;
    let newest = connection.undoable(options).await?.filter(|newest| newest.version == version);
    let Some(newest) = newest else { return Ok(false) };
    connection.undo(newest.below).await?;
    Ok(true)
}

/// The newest migration of a database that no node uses.
struct Undoable {
    version: i64,
    name: String,
    /// The version before it; 0 for the first.
    below: i64,
}

/// A connection to run migrations on either database.
#[derive(Debug)]
pub(crate) enum MigrationConnection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PgConnection),
}

/// Runs the same code on either database.
macro_rules! on {
    ($connection:expr, |$inside:ident, $migrator:ident| $does:expr) => {
        match $connection {
            MigrationConnection::Sqlite(connection) => {
                let $inside = &mut **connection;
                let $migrator = &SQLITE;
                $does
            }
            MigrationConnection::Postgres(connection) => {
                let $inside = connection;
                let $migrator = &POSTGRES;
                $does
            }
        }
    };
}

impl MigrationConnection {
    /// Runs the missing migrations if `migrate` is true. A database that is ahead of this binary is not changed, and
    /// refused if this binary cannot work on it.
    pub(crate) async fn bring_up_to_date(&mut self, migrate: bool) -> Result<(), OpenError> {
        let status = self.status().await?;
        status.check()?;
        match (status.is_behind(), migrate) {
            (true, true) => self.run().await,
            (true, false) => Err(OpenError::Older { found: status.found(), known: status.known() }),
            (false, true) if status.found() == status.known() => self.run().await,
            (false, _) => Ok(()),
        }
    }

    async fn status(&mut self) -> Result<Status, OpenError> {
        on!(self, |connection, migrator| {
            // Locked, because creating the table twice at once would fail.
            connection.lock().await?;
            connection.ensure_migrations_table(&migrator.table_name).await?;
            let applied = connection.list_applied_migrations(&migrator.table_name).await;
            connection.unlock().await?;
            let applied = applied?;
            let floor = match applied.is_empty() {
                true => 0,
                false => sqlx::query_scalar(FLOOR).persistent(false).fetch_one(connection).await?,
            };
            Ok(Status { steps: steps(migrator, &applied), floor })
        })
    }

    async fn run(&mut self) -> Result<(), OpenError> {
        on!(self, |connection, migrator| Ok(migrator.run_direct(None, connection, false).await?))
    }

    async fn undoable(&mut self, options: &Options<'_>) -> Result<Option<Undoable>, UndoError> {
        let status = self.status().await?;
        let found = status.found();
        let known = status.known();
        if found > known {
            return Err(OpenError::Newer(NewerDatabase { found, known }).into());
        }
        let applied = || status.steps.iter().filter(|step| step.applied);
        let Some(newest) = applied().find(|step| step.version == found) else { return Ok(None) };
        let servers = self.servers(options).await?;
        if servers > 0 {
            return Err(RunningServers { servers }.into());
        }
        let below = applied().map(|step| step.version).filter(|version| *version < found).max().unwrap_or(0);
        Ok(Some(Undoable { version: found, name: newest.name.clone().unwrap_or_default(), below }))
    }

    async fn losses(&mut self, version: i64) -> Result<Vec<(String, u64)>, OpenError> {
        on!(self, |connection, migrator| {
            let mut losses = Vec::new();
            for Loss { table, column, rows } in dropped(migrator, version) {
                let count = AssertSqlSafe(format!("SELECT count(*) FROM {table} {rows}"));
                let rows: i64 = sqlx::query_scalar(count).persistent(false).fetch_one(&mut *connection).await?;
                let what = column.map_or_else(|| table.to_owned(), |column| format!("{table}.{column}"));
                losses.push((what, unsigned(rows)));
            }
            Ok(losses)
        })
    }

    async fn undo(&mut self, target: i64) -> Result<(), OpenError> {
        on!(self, |connection, migrator| Ok(migrator.undo(connection, target).await?))
    }

    /// Returns the number of nodes that run on the database.
    async fn servers(&mut self, options: &Options<'_>) -> Result<usize, OpenError> {
        match self {
            Self::Sqlite(_) => Ok(usize::from(is_in_use(options.data)?)),
            Self::Postgres(connection) => Ok(running_servers::count(connection).await?),
        }
    }
}

/// Returns the versions if the database has migrations that this binary does not know, for operations that need all of
/// them.
pub(crate) async fn newer(tx: &mut Transaction) -> Result<Option<NewerDatabase>, DatabaseError> {
    let migrator = match tx.kind() {
        StoreKind::Sqlite => &SQLITE,
        StoreKind::Postgres => &POSTGRES,
    };
    let known = migrator.iter().map(|known| known.version).max().unwrap_or(0);
    let (found,): (i64,) = tx.query(NEWEST).once().one().await?;
    Ok((found > known).then_some(NewerDatabase { found, known }))
}

async fn connect(options: &Options<'_>) -> Result<(MigrationConnection, Option<std::fs::File>), OpenError> {
    match options.url {
        None => {
            let (file, lock) = claimed(options.data).await?;
            let connection = sqlite::writer(&file).await?.acquire().await?;
            Ok((MigrationConnection::Sqlite(connection), Some(lock)))
        }
        Some(url) => {
            Ok((MigrationConnection::Postgres(postgres::connect(&postgres::options(url.expose())?).await?), None))
        }
    }
}

fn steps(migrator: &Migrator, applied: &[AppliedMigration]) -> Vec<Step> {
    let has = |version| applied.iter().any(|applied| applied.version == version);
    let ups = migrator.iter().filter(|known| known.migration_type.is_up_migration());
    let mut steps: Vec<Step> = ups
        .map(|up| Step { version: up.version, name: Some(up.description.to_string()), applied: has(up.version) })
        .collect();
    let newer = applied.iter().filter(|applied| !migrator.version_exists(applied.version));
    steps.extend(newer.map(|newer| Step { version: newer.version, name: None, applied: true }));
    steps.sort_by_key(|step| step.version);
    steps
}

/// A table, one of its columns, or some of its rows that a down migration deletes.
#[derive(Debug, PartialEq, Eq)]
struct Loss<'a> {
    table: &'a str,
    column: Option<&'a str>,
    /// The condition of the rows, with its `WHERE`; empty for all rows.
    rows: &'a str,
}

/// Returns what a down migration deletes, in the order of its statements.
fn dropped(migrator: &Migrator, version: i64) -> impl Iterator<Item = Loss<'_>> {
    let is_down = move |known: &&Migration| known.version == version && known.migration_type.is_down_migration();
    let statements = migrator.iter().filter(is_down).flat_map(|down| down.sql.as_str().split(';'));
    statements.filter_map(loss)
}

fn loss(statement: &str) -> Option<Loss<'_>> {
    let mut words =
        statement.lines().filter(|line| !line.trim_start().starts_with("--")).flat_map(str::split_whitespace);
    let of = |table, column| Some(Loss { table, column, rows: "" });
    match [words.next()?, words.next()?, words.next()?] {
        ["DROP", "TABLE", table] => of(table, None),
        ["DELETE", "FROM", table] => {
            let rows = statement.find("WHERE").map_or("", |at| &statement[at..]);
            Some(Loss { table, column: None, rows })
        }
        ["ALTER", "TABLE", table] => match [words.next()?, words.next()?, words.next()?] {
            ["DROP", "COLUMN", column] => of(table, Some(column)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a running node has locked the data folder, or its part of the folder.
fn is_in_use(data: &Path) -> Result<bool, FolderError> {
    Ok(is_locked(data)? || is_locked(&data.join(SUCCESSOR))?)
}

fn is_locked(data: &Path) -> Result<bool, FolderError> {
    let folder = |source| FolderError { folder: data.to_owned(), source };
    let lock = match OpenOptions::new().read(true).write(true).open(data.join(SERVER_LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(folder(error)),
    };
    match lock.try_lock() {
        Ok(()) => Ok(false),
        Err(std::fs::TryLockError::WouldBlock) => Ok(true),
        Err(std::fs::TryLockError::Error(error)) => Err(folder(error)),
    }
}

#[cfg(test)]
mod tests;
