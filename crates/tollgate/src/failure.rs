//! Errors that end a command. Each is printed as one line with a code and a remedy. [`store`] converts the errors of the
//! store.

mod store;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use access::Fingerprint;
use cluster::windows::RedisFault;
use config::snapshot::Process;
use ledger::IngestError;
use spool::SpoolError;
use thiserror::Error;
use tls::ListenAddress;

use crate::store_options::STORE_FILE;

pub(crate) use self::store::of_store;

/// The exit code for an invalid configuration or command line.
const USAGE: u8 = 2;

/// Errors of `serve` and all other commands. Their codes are not those of `access::Refusal`, which clients receive.
#[derive(Debug, Error)]
pub(crate) enum StartFault {
    #[error("{0}")]
    Config(#[from] config::ConfigError),
    #[error(
        "stored_config: the configuration of the admin API that is in force over this file cannot be used; {way_out}, to \
         start with the file in its place\n{source}"
    )]
    StoredConfig { way_out: String, source: config::ConfigError },
    #[error(
        "port_in_use: {address} is already in use: stop the process that listens there, or choose another address \
         with {flag}"
    )]
    PortInUse { address: ListenAddress, flag: &'static str },
    #[error("cannot_listen: cannot listen on {address}: choose another address with {flag}")]
    CannotListen { address: ListenAddress, flag: &'static str, source: io::Error },
    #[error(
        "data_in_use: the data folder {} is in use by {holder}: stop that process, or name another folder with --data",
        folder.display()
    )]
    DataInUse { folder: PathBuf, holder: String },
    #[error(
        "data_unwritable: the data folder {} cannot be written: grant this user write permission, free disk space, or \
         name another folder with --data",
        folder.display()
    )]
    DataUnwritable { folder: PathBuf, source: anyhow::Error },
    #[error(
        "data_unreadable: the data folder {} cannot be read: grant this user read permission, or name another folder \
         with --data",
        folder.display()
    )]
    DataUnreadable { folder: PathBuf, source: io::Error },
    #[error(
        "no_server: no server of Tollgate runs on the data folder {} of this user: name its folder with --data, or its \
         configuration with --config",
        folder.display()
    )]
    NoServer { folder: PathBuf },
    #[error("upgrade_failed: the binary {} cannot be used: name another one with --binary", binary.display())]
    NoBinary { binary: PathBuf, source: io::Error },
    #[error(
        "upgrade_unanswered: process {pid} has not reported a result: it continues to serve or has ended; its log has the \
         reason"
    )]
    UpgradeUnanswered { pid: u32 },
    #[error(
        "inherited_sockets: the sockets of LISTEN_FDS cannot be used: {source}; pass listening sockets of TCP or Unix sockets only"
    )]
    InheritedSockets { source: io::Error },
    #[error(
        "demo_keys_exposed: the store has demo users, whose keys are stored in plain text, a real provider key is set, \
         and {listener} is not a loopback address. Choose one of three remedies: listen on 127.0.0.1, force the mock \
         provider with --mock, or use a data folder without demo users (--data, without --demo)"
    )]
    DemoKeysExposed { listener: SocketAddr },
    #[error(
        "demo_keys_in_production: `production: true` refuses demo users, whose keys are stored in plain text: use a data \
         folder without demo users (--data, without --demo)"
    )]
    DemoKeysInProduction,
    #[error("examples_invalid: {}: {reason}: correct the file, or name another folder with --examples", path.display())]
    Examples { path: PathBuf, reason: String },
    #[error("example_unknown: there is no example {name}: `tollgate examples` lists all")]
    ExampleUnknown { name: String },
    #[error("example_exists: {} exists, and nothing was written: name another folder with --to", path.display())]
    ExampleExists { path: PathBuf },
    #[error(
        "example_unwritable: files cannot be created in {}: grant this user write permission, or name another folder with --to",
        folder.display()
    )]
    ExampleUnwritable { folder: PathBuf, source: io::Error },
    #[error(
        "store_missing: there is no store in {}: name its folder with --data, or its configuration with --config. \
         `tollgate serve` and `tollgate users create` create a store",
        folder.display()
    )]
    StoreMissing { folder: PathBuf },
    #[error(
        "config_unread: no store was created in {}: tollgate.yaml in this folder may name another store, and --data hides it. \
         Add `--config tollgate.yaml`, or run the command in another folder",
        folder.display()
    )]
    ConfigUnread { folder: PathBuf },
    #[error(
        "plans_missing: the configuration in force has no `plans`, and nothing was changed: name its file with --config"
    )]
    PlansMissing,
    #[error(
        "in_force_unknown: the configuration in force cannot be read, and nothing was changed: pass the server's --config, \
         --env-file and --data: {reason}"
    )]
    InForceUnknown { reason: String },
    #[error(
        "password_missing: there is no terminal to ask for the password: pass it with --password-stdin, or print a \
         one-time link with --link"
    )]
    PasswordMissing,
    #[error(
        "password_missing: there is no terminal to ask for the admin's password: pass it with --password-stdin, or choose one \
         first with `tollgate users password`"
    )]
    AdminPasswordMissing,
    #[error(
        "confirmation_missing: nothing was changed. There is no terminal to ask for confirmation: repeat the command \
         with --yes"
    )]
    ConfirmationMissing,
    #[error(
        "several_admins: name the admin of the link with --user: {}",
        emails.join(", ")
    )]
    SeveralAdmins { emails: Vec<String> },
    #[error(
        "backup_unwritable: {} cannot be created: name a file that does not exist, in a folder that this user may \
         write",
        file.display()
    )]
    BackupUnwritable { file: PathBuf, source: io::Error },
    #[error("no_backup: {} was not created by `tollgate backup`, or is cut: copy it again", file.display())]
    NoBackup { file: PathBuf },
    #[error("no_backup: {} cannot be read", file.display())]
    BackupUnreadable { file: PathBuf, source: io::Error },
    #[error("replaces_files_only: --replace works only with SQLite; restore into an empty PostgreSQL database instead")]
    ReplacesFilesOnly,
    #[error(
        "role_needs_postgres: `--role proxy` and `--role control` share a store, and SQLite supports only one \
         process: set DATABASE_URL or store.url to postgres://…, or omit --role"
    )]
    RoleNeedsPostgres,
    #[error(
        "secrets_exposed: other users can read {path} (mode {mode:03o}): only its owner may have access. Run `chmod \
         {right} {path}`; if others may have read it, see docs/vault.md on how to change a key"
    )]
    SecretsExposed { path: String, mode: u32, right: &'static str },
    #[error(
        "secret_odd: {path} is a symbolic link or another type of file than expected: replace it by a regular file, or \
         name a file elsewhere with MASTER_ENCRYPTION_KEY=file:/path and JWT_SECRET=file:/path"
    )]
    SecretOdd { path: String },
    #[error("secret_unreadable: {from} cannot be read: grant this user read permission")]
    SecretUnreadable { from: String, source: io::Error },
    #[error("secret_malformed: {from} does not contain a valid secret: expected {expected}")]
    SecretMalformed { from: String, expected: &'static str },
    #[error(
        "secrets_unwritable: the first start writes its secrets to {}, which cannot be written: grant this user write \
         permission, or set MASTER_ENCRYPTION_KEY and JWT_SECRET",
        folder.display()
    )]
    SecretsUnwritable { folder: PathBuf, source: io::Error },
    #[error(
        "vault_key_wrong: the credentials in the store are encrypted with the master key with the fingerprint \
         {newest}, but this server has {current}: give every node the same MASTER_ENCRYPTION_KEY (the first server has \
         it in the file secrets/master_key; docs/postgresql.md says what nodes share). To change the key, set the new one as MASTER_ENCRYPTION_KEY and the old one as \
         MASTER_ENCRYPTION_KEY_PREVIOUS. If the old one is lost, `tollgate vault reset` deletes these credentials"
    )]
    VaultKeyWrong { current: Fingerprint, newest: Fingerprint },
    #[error(
        "vault_key_retired: the master key {current} was replaced by a rotation: start with its successor, which \
         `tollgate vault status` shows"
    )]
    VaultKeyRetired { current: Fingerprint },
    #[error(
        "vault_key_missing: the credentials in the store are encrypted with a master key, but this server has none: \
         give every node the same MASTER_ENCRYPTION_KEY, or copy the file secrets/master_key of the first server to \
         {file} (docs/postgresql.md says what nodes share). If it is lost, `tollgate vault reset` deletes these credentials"
    )]
    VaultKeyMissing { file: String },
    #[error(
        "signup_plan_missing: new accounts get the plan {plan}, which the store does not have: add it to plans, or \
         name another one with signup_plan"
    )]
    SignupPlanMissing { plan: String },
    #[error(
        "fallback_plan_missing: users with a limited subscription get the plan {plan}, which the store does not have: \
         add it to plans, or name another one with billing.fallback_plan"
    )]
    FallbackPlanMissing { plan: String },
    #[error("{code}: {source}")]
    StoreVersion { code: &'static str, source: anyhow::Error },
    #[error(
        "{code}: {} {what}: restore a copy of it, or name another folder with --data",
        folder.join(STORE_FILE).display()
    )]
    Store { code: &'static str, what: &'static str, folder: PathBuf, source: anyhow::Error },
    #[error("{code}: {source}{way_out}")]
    Server { code: &'static str, way_out: &'static str, source: anyhow::Error },
    #[error("{code}: {source}{way_out}")]
    Spool { code: &'static str, way_out: String, source: SpoolError },
    #[error("redis_malformed: {0}: correct redis or REDIS_URL")]
    Redis(#[source] RedisFault),
    #[error("spool_too_small: {0}: increase spool.max_size, or start fewer --workers")]
    SpoolTooSmall(#[source] SpoolError),
}

impl StartFault {
    /// The error for `address`, which `flag` sets, if listening on it fails.
    pub(crate) fn listen(address: ListenAddress, flag: &'static str, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::AddrInUse {
            Self::PortInUse { address, flag }
        } else {
            Self::CannotListen { address, flag, source }
        }
    }

    /// The error for a `folder` in which no file can be written.
    pub(crate) fn unwritable(folder: &Path, source: impl Into<anyhow::Error>) -> Self {
        Self::DataUnwritable { folder: folder.to_owned(), source: source.into() }
    }

    /// The error for a stored configuration over `file` that became invalid.
    pub(crate) fn stored_config(file: Option<&Path>, source: config::ConfigError) -> Self {
        let way_out = match file {
            Some(file) => format!("change the file, for example `echo '# changed' >> {}`", file.display()),
            None => "pass a file with --config".to_owned(),
        };
        Self::StoredConfig { way_out, source }
    }

    /// The error for example files that cannot be used.
    pub(crate) fn examples(path: &Path, reason: String) -> Self {
        Self::Examples { path: path.to_owned(), reason }
    }
}

/// Converts an error of the spool in `folder` (inside `data`), and selects its code.
pub(crate) fn of_spool(data: &Path, folder: &Path, source: SpoolError) -> StartFault {
    let or_lose = |better: &str| {
        let folder = folder.display();
        format!(": {better}, or move the folder {folder} away, which loses the usage in it that is not stored yet")
    };
    let (code, way_out) = match &source {
        SpoolError::TooSmall { .. } | SpoolError::SegmentSize { .. } => return StartFault::SpoolTooSmall(source),
        SpoolError::Io { source: error, .. } if is_of_the_folder(error.kind()) => {
            return StartFault::unwritable(data, source);
        }
        // The messages of these errors contain the remedy.
        SpoolError::Missing { .. } => ("spool_missing", String::new()),
        SpoolError::Newer { .. } => ("spool_newer", String::new()),
        SpoolError::OtherNode { .. } => ("spool_of_another_node", String::new()),
        SpoolError::Corrupt { .. } => ("spool_damaged", or_lose("restore a copy, or start once with --skip-corrupt")),
        SpoolError::Full { .. } => ("spool_failed", or_lose("increase spool.max_size")),
        SpoolError::TooLarge { .. } | SpoolError::Io { .. } => {
            ("spool_failed", or_lose("check the folder's permissions and its disk"))
        }
    };
    StartFault::Spool { code, way_out, source }
}

/// The error for a failed ingest of the spool in `folder`, with its code.
pub(crate) fn of_ingest(process: &Process, folder: &Path, error: IngestError) -> StartFault {
    match error {
        IngestError::Store(source) => of_store(process, source),
        IngestError::Spool(source) => of_spool(&process.data, folder, source),
    }
}

const fn is_of_the_folder(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(kind, PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull)
}

/// Writes the error and its causes to stderr, and returns the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let is_config = matches!(error.downcast_ref(), Some(StartFault::Config(_)));
    // Every problem of a configuration already begins with `error[…]`.
    let mut text = if is_config { String::new() } else { "error: ".to_owned() };
    let mut causes = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some errors repeat the text of their cause.
        if causes.contains(&cause) {
            continue;
        }
        if !causes.is_empty() {
            causes.push_str(": ");
        }
        causes.push_str(&cause);
    }
    text.push_str(&causes);
    text.push('\n');
    telemetry::logs::write_stderr(text);
    let is_stored = matches!(error.downcast_ref(), Some(StartFault::StoredConfig { .. }));
    if is_config || is_stored { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}
