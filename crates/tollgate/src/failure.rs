//! Why a command ends without having done its work: a line with a code, and what to do.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use access::Fingerprint;
use config::Snapshot;
use spool::SpoolError;
use store::windows::RedisFault;
use store::{IngestError, StoreError};
use thiserror::Error;

/// The configuration or the command line is wrong.
const USAGE: u8 = 2;

/// Faults at start, with codes of their own (apart from `access::Refusal`, which callers meet).
#[derive(Debug, Error)]
pub(crate) enum StartFault {
    #[error("{0}")]
    Config(#[from] config::ConfigError),
    #[error("port_in_use: cannot listen on {address}: stop what listens there, or choose another address with {flag}")]
    PortInUse { address: SocketAddr, flag: &'static str },
    #[error("cannot_listen: cannot listen on {address}: choose another address with {flag}")]
    CannotListen { address: SocketAddr, flag: &'static str, source: io::Error },
    #[error(
        "data_in_use: the data folder {} is in use by {holder}: stop that process, or name another folder with --data",
        folder.display()
    )]
    DataInUse { folder: PathBuf, holder: String },
    #[error(
        "data_unwritable: the data folder {} cannot be written: give this user the right, make room on its disk, or name \
         another with --data",
        folder.display()
    )]
    DataUnwritable { folder: PathBuf, source: anyhow::Error },
    #[error(
        "demo_keys_exposed: there are demo users, whose keys anybody can print, a provider's real key is set, and \
         {listener} is not loopback. Any one of three ways out: listen on 127.0.0.1, force the mock with --mock, or use \
         a data folder without demo users (--data, and no --demo)"
    )]
    DemoKeysExposed { listener: SocketAddr },
    #[error(
        "store_missing: there is no store in {}: name its folder with --data, or its configuration with --config. `tollgate \
         serve` and `tollgate users create` make one",
        folder.display()
    )]
    StoreMissing { folder: PathBuf },
    #[error(
        "password_missing: there is no terminal to ask on: give the password with --password-stdin, or print a one-time \
         link with --link"
    )]
    PasswordMissing,
    #[error(
        "confirmation_missing: nothing was changed. There is no terminal to ask for confirmation: repeat the command with --yes"
    )]
    ConfirmationMissing,
    #[error(
        "admin_exists: an admin with a password exists: `tollgate users list` lists users, and `tollgate users password --link` \
         prints a link to choose another password"
    )]
    AdminExists,
    #[error("backup_unwritable: {} cannot be made: name a file that is not there yet, in a folder that this user may write", file.display())]
    BackupUnwritable { file: PathBuf, source: io::Error },
    #[error("no_backup: {} is no file that `tollgate backup` made", file.display())]
    NoBackup { file: PathBuf },
    #[error(
        "replaces_files_only: --replace sets SQLite's file aside; restore into an empty PostgreSQL database instead"
    )]
    ReplacesFilesOnly,
    #[error(
        "role_needs_postgres: one half alone shares its store with the other, and SQLite's file is one process's: set \
         DATABASE_URL or store.url to postgres://…, or leave --role out"
    )]
    RoleNeedsPostgres,
    #[error(
        "secrets_exposed: {path} can be read by others (mode {mode:03o}): it is its owner's alone. `chmod {right} {path}`, and if \
         others may have read it, see docs/vault.md on how to change a key"
    )]
    SecretsExposed { path: String, mode: u32, right: &'static str },
    #[error(
        "secret_odd: {path} is a symbolic link, or not the kind of file that belongs there: put the file itself there, or \
         name one elsewhere with MASTER_ENCRYPTION_KEY=file:/path and JWT_SECRET=file:/path"
    )]
    SecretOdd { path: String },
    #[error("secret_unreadable: {from} cannot be read: give this user the right")]
    SecretUnreadable { from: String, source: io::Error },
    #[error("secret_malformed: {from} holds no such secret: expected {expected}")]
    SecretMalformed { from: String, expected: &'static str },
    #[error(
        "secrets_unwritable: the first start writes its secrets to {}, which cannot be written: give this user the right, or \
         set MASTER_ENCRYPTION_KEY and JWT_SECRET",
        folder.display()
    )]
    SecretsUnwritable { folder: PathBuf, source: io::Error },
    #[error(
        "vault_key_wrong: the store's credentials are sealed with the master key {newest}, and this server has {current}: \
         give every node the same MASTER_ENCRYPTION_KEY (the file secrets/master_key of the server that was first has it). \
         To change the key, set the new one there and the old one as MASTER_ENCRYPTION_KEY_PREVIOUS. If the old one is \
         lost: `tollgate vault reset`"
    )]
    VaultKeyWrong { current: Fingerprint, newest: Fingerprint },
    #[error(
        "vault_key_retired: the master key {current} was replaced by a rotation and seals nothing any more: start with the one \
         that followed; `tollgate vault status` shows which"
    )]
    VaultKeyRetired { current: Fingerprint },
    #[error(
        "vault_key_missing: the store's credentials are sealed with a master key, and this server has none: give every node \
         the same MASTER_ENCRYPTION_KEY, or put the first server's file secrets/master_key at {file}. If it is lost: \
         `tollgate vault reset`"
    )]
    VaultKeyMissing { file: String },
    #[error(
        "signup_plan_missing: who signs up gets the plan {plan}, and the store has none of this name: add it to plans, or name \
         another with signup_plan"
    )]
    SignupPlanMissing { plan: String },
    #[error("{code}: {source}")]
    StoreVersion { code: &'static str, source: StoreError },
    #[error(
        "{code}: {} {what}: restore a copy of it, or name another folder with --data",
        folder.join(crate::commands::STORE_FILE).display()
    )]
    Store { code: &'static str, what: &'static str, folder: PathBuf, source: StoreError },
    #[error("{code}: {source}{way_out}")]
    Server { code: &'static str, way_out: &'static str, source: StoreError },
    #[error("{code}: {source}{way_out}")]
    Spool { code: &'static str, way_out: String, source: SpoolError },
    #[error("redis_malformed: {0}: set redis, or REDIS_URL, to such a one")]
    Redis(#[source] RedisFault),
    #[error("spool_too_small: {0}: raise spool.max_size, or start fewer --workers")]
    SpoolTooSmall(#[source] SpoolError),
}

impl StartFault {
    /// `address`, for which `flag` stands, cannot be listened on.
    pub(crate) fn listen(address: SocketAddr, flag: &'static str, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::AddrInUse {
            Self::PortInUse { address, flag }
        } else {
            Self::CannotListen { address, flag, source }
        }
    }

    /// `folder` takes no files.
    pub(crate) fn unwritable(folder: &Path, source: impl Into<anyhow::Error>) -> Self {
        Self::DataUnwritable { folder: folder.to_owned(), source: source.into() }
    }
}

/// A fault of the store that `snapshot` names, with its code.
#[expect(clippy::wildcard_enum_match_arm, reason = "what has no code of its own fails otherwise")]
pub(crate) fn of_store(snapshot: &Snapshot, source: StoreError) -> StartFault {
    match source {
        StoreError::Folder { .. } => StartFault::unwritable(&snapshot.data, source),
        StoreError::Newer { .. } => StartFault::StoreVersion { code: "store_newer", source },
        StoreError::Older { .. } => StartFault::StoreVersion { code: "store_older", source },
        StoreError::NotEmpty { .. } => StartFault::StoreVersion { code: "store_not_empty", source },
        StoreError::Differs { .. } => StartFault::StoreVersion { code: "copy_differs", source },
        StoreError::Running { .. } => StartFault::StoreVersion { code: "store_in_use", source },
        _ if snapshot.store.url.is_some() => of_server(source),
        _ => of_file(&snapshot.data, source),
    }
}

/// A fault of SQLite's file in `data`.
#[expect(clippy::wildcard_enum_match_arm, reason = "what has no code of its own fails otherwise")]
fn of_file(data: &Path, source: StoreError) -> StartFault {
    let (code, what) = match source {
        StoreError::ReadOnly(_) | StoreError::Full(_) => return StartFault::unwritable(data, source),
        StoreError::Damaged(_) => ("store_damaged", "is damaged, or no database"),
        StoreError::Unreadable { .. } => ("store_damaged", "holds what no tollgate writes"),
        StoreError::Migration(_) => ("store_not_migrated", "cannot be brought up to date"),
        StoreError::Superseded => return StartFault::Server { code: "store_superseded", way_out: "", source },
        _ => ("store_failed", "cannot be used"),
    };
    StartFault::Store { code, what, folder: data.to_owned(), source }
}

/// A fault of PostgreSQL.
#[expect(clippy::wildcard_enum_match_arm, reason = "what has no code of its own fails otherwise")]
fn of_server(source: StoreError) -> StartFault {
    let look = ": look at DATABASE_URL or store.url, and at the server";
    let (code, way_out) = match source {
        StoreError::Url => ("store_url", ""),
        StoreError::Unavailable(_) => ("store_unavailable", look),
        StoreError::Forbidden(_) => ("store_forbidden", look),
        StoreError::OldServer { .. } => ("store_too_old", ""),
        StoreError::Encoding { .. } => ("store_encoding", ""),
        StoreError::Pooled => ("store_pooled", ""),
        StoreError::ReadOnly(_) => ("store_read_only", ": name the primary server, or let this database be written to"),
        StoreError::Full(_) => ("store_full", ": make room on it"),
        StoreError::Superseded => ("store_superseded", ""),
        StoreError::Damaged(_) | StoreError::Unreadable { .. } => ("store_damaged", ": restore a copy"),
        StoreError::Migration(_) => ("store_not_migrated", ""),
        _ => ("store_failed", ""),
    };
    StartFault::Server { code, way_out, source }
}

/// A fault of the spool in `folder`, which lies in `data`, with its code.
pub(crate) fn of_spool(data: &Path, folder: &Path, source: SpoolError) -> StartFault {
    let or_lose = |better: &str| {
        let folder = folder.display();
        format!(": {better}, or move the folder {folder} away: the usage in it that is not stored yet is lost then")
    };
    let (code, way_out) = match &source {
        SpoolError::TooSmall { .. } | SpoolError::SegmentSize { .. } => return StartFault::SpoolTooSmall(source),
        SpoolError::Io { source: error, .. } if is_of_the_folder(error.kind()) => {
            return StartFault::unwritable(data, source);
        }
        // It says itself what to do.
        SpoolError::Missing { .. } => ("spool_missing", String::new()),
        SpoolError::OtherNode { .. } => ("spool_of_another_node", String::new()),
        SpoolError::Corrupt { .. } => ("spool_damaged", or_lose("restore a copy, or start once with --skip-corrupt")),
        SpoolError::Newer { .. } => ("spool_newer", or_lose("run the newer tollgate")),
        SpoolError::Full { .. } | SpoolError::TooLarge { .. } | SpoolError::Io { .. } => {
            ("spool_failed", or_lose("look at its rights and its disk"))
        }
    };
    StartFault::Spool { code, way_out, source }
}

/// A fault of bringing what the spool in `folder` holds into the store, with its code.
pub(crate) fn of_ingest(snapshot: &Snapshot, folder: &Path, error: IngestError) -> StartFault {
    match error {
        IngestError::Store(source) => of_store(snapshot, source),
        IngestError::Spool(source) => of_spool(&snapshot.data, folder, source),
    }
}

const fn is_of_the_folder(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(kind, PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull)
}

/// Writes the error and all its causes to stderr.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let is_config = matches!(error.downcast_ref(), Some(StartFault::Config(_)));
    // Each problem of a configuration begins with `error[…]` itself.
    let mut text = if is_config { String::new() } else { "error: ".to_owned() };
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some repeat their cause's words.
        if told.contains(&cause) {
            continue;
        }
        if !told.is_empty() {
            told.push_str(": ");
        }
        told.push_str(&cause);
    }
    text.push_str(&told);
    text.push('\n');
    telemetry::logs::write_stderr(text);
    if is_config { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}
