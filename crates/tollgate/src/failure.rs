//! Why a command ends without having done its work: a line with a code, and what to do.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use spool::SpoolError;
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
    #[error("{code}: {source}")]
    StoreVersion { code: &'static str, source: StoreError },
    #[error(
        "{code}: {} {what}: restore a copy of it, or name another folder with --data",
        folder.join(crate::commands::STORE_FILE).display()
    )]
    Store { code: &'static str, what: &'static str, folder: PathBuf, source: StoreError },
    #[error("{code}: {source}{way_out}")]
    Spool { code: &'static str, way_out: String, source: SpoolError },
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

/// A fault of the store in `data`, with its code.
pub(crate) fn of_store(data: &Path, source: StoreError) -> StartFault {
    if let StoreError::Folder { .. } = source {
        return StartFault::unwritable(data, source);
    }
    if let StoreError::Newer { .. } | StoreError::Older { .. } = source {
        let code = if let StoreError::Newer { .. } = source { "store_newer" } else { "store_older" };
        return StartFault::StoreVersion { code, source };
    }
    let (code, what) = match sqlite_code(&source) {
        Some(READONLY | CANTOPEN | FULL | PERM) => return StartFault::unwritable(data, source),
        Some(CORRUPT | NOTADB) => ("store_damaged", "is damaged, or no database"),
        _ if matches!(source, StoreError::Unreadable { .. }) => ("store_damaged", "holds what no tollgate writes"),
        _ if matches!(source, StoreError::Migration(_)) => ("store_not_migrated", "cannot be brought up to date"),
        _ => ("store_failed", "cannot be used"),
    };
    let folder = data.to_owned();
    StartFault::Store { code, what, folder, source }
}

// SQLite's primary result codes (https://www.sqlite.org/rescode.html).
const PERM: u32 = 3;
const READONLY: u32 = 8;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;
const NOTADB: u32 = 26;

/// The primary result code, which is an extended one's lowest byte.
fn sqlite_code(error: &StoreError) -> Option<u32> {
    let StoreError::Database(error) = error else { return None };
    let extended: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
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
        SpoolError::Corrupt { .. } => ("spool_damaged", or_lose("restore a copy")),
        SpoolError::Newer { .. } => ("spool_newer", or_lose("run the newer tollgate")),
        SpoolError::Full { .. } | SpoolError::TooLarge { .. } | SpoolError::Io { .. } => {
            ("spool_failed", or_lose("look at its rights and its disk"))
        }
    };
    StartFault::Spool { code, way_out, source }
}

/// A fault of bringing what the spool in `folder` holds into the store in `data`, with its code.
pub(crate) fn of_ingest(data: &Path, folder: &Path, error: IngestError) -> StartFault {
    match error {
        IngestError::Store(source) => of_store(data, source),
        IngestError::Spool(source) => of_spool(data, folder, source),
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
    telemetry::logs::last_words(text);
    if is_config { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}
