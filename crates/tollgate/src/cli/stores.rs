//! Arguments of `tollgate migrate`, `move`, `backup`, `restore` and `vault`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Place;

pub(super) const VAULT_EXAMPLES: &str = "Examples:
  # List master keys, and the number of their credentials
  tollgate vault status
  # Seal every credential with the new master key
  export MASTER_ENCRYPTION_KEY=…
  export MASTER_ENCRYPTION_KEY_PREVIOUS=…
  tollgate vault rotate

Run `rotate` when every server has both keys; servers may be running. An interrupted rotation can be repeated. \
`rotate` reports when the previous key is no longer needed.";

pub(super) const MIGRATE_EXAMPLES: &str = "Examples:
  # The store in ./tollgate-data
  tollgate migrate status
  # Before servers start with store.migrate: false
  DATABASE_URL=postgres://… tollgate migrate up
  # Undo the newest migration, and delete its tables
  tollgate migrate down

`serve` applies migrations itself unless store.migrate is false. `down` lists the tables and rows that it deletes, \
and asks for confirmation or requires --yes. It fails while a server uses the store.";

pub(super) const MOVE_EXAMPLES: &str = "Examples:
  tollgate move --to postgres://tollgate:secret@db/tollgate
  tollgate move --data /data --to \"$DATABASE_URL\"

All rows are read back and compared before the copy is committed. The server of the data folder must not run. Start it \
with DATABASE_URL afterwards.";

pub(super) const BACKUP_EXAMPLES: &str = "Examples:
  tollgate backup /backups/tollgate-2026-11-20.db
  # PostgreSQL's rows, in the same kind of file
  DATABASE_URL=postgres://… tollgate backup tollgate.db

The file is a SQLite database with a consistent snapshot of the store.";

pub(super) const RESTORE_EXAMPLES: &str = "Examples:
  tollgate restore tollgate-2026-11-20.db
  # Replace an existing store
  tollgate restore tollgate-2026-11-20.db --replace
  # Into an empty PostgreSQL database
  DATABASE_URL=postgres://… tollgate restore tollgate.db

A restore returns to an earlier state: keys revoked since are valid again, and credits spent since can be spent again. \
--replace describes the store that it replaces, asks for confirmation or requires --yes, and keeps the replaced file.";

#[derive(Debug, Args)]
pub(crate) struct VaultCommands {
    #[command(subcommand)]
    pub(crate) command: VaultCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VaultCommand {
    /// List the fingerprints of master keys
    Status {
        #[command(flatten)]
        place: Place,
    },
    /// Seal all credentials with MASTER_ENCRYPTION_KEY, instead of MASTER_ENCRYPTION_KEY_PREVIOUS
    Rotate {
        #[command(flatten)]
        place: Place,
    },
    /// Delete credentials whose master key is lost; no server may run
    Reset {
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(subcommand)]
    pub(crate) command: MigrateCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrateCommand {
    /// Apply all missing migrations
    Up {
        #[command(flatten)]
        place: Place,
    },
    /// Undo the newest migration and delete its tables; no server may run
    Down {
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        place: Place,
    },
    /// List migrations and their state
    Status {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Move {
    /// URL of the empty database: postgres://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// File to create; it must not exist
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// File that `tollgate backup` created
    pub(crate) file: PathBuf,
    /// Replace the SQLite store in the data folder; its file is kept
    #[arg(long)]
    pub(crate) replace: bool,
    /// Do not ask for confirmation
    #[arg(long, requires = "replace")]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}
