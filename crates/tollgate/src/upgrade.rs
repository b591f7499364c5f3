//! The upgrade in place: a running server starts another binary with its listening sockets, and drains once that one is ready.
//!
//! Read in this order: [`request`] (the files between `tollgate upgrade` and the server), [`successor`] (the start of the other
//! process), [`store`] (what that one waits for on SQLite). The other side is `crate::inherited`.

pub(crate) mod request;
pub(crate) mod store;
pub(crate) mod successor;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// The reason why a server was not replaced. It continues to serve.
#[derive(Debug, Error)]
pub(crate) enum UpgradeFault {
    #[error(
        "upgrade_reservations: {count} requests still held reservations {} s after the server had stopped to admit \
         requests. On SQLite, each must have ended before the other process gets the store. Repeat the command when fewer \
         long requests run, or restart the server",
        within.as_secs()
    )]
    Reservations { count: u64, within: Duration },
    #[error(
        "upgrade_unstored: {records} records of usage were not in the store after {} s. Look for errors of the job \
         `ingest`, and repeat the command",
        within.as_secs()
    )]
    Unstored { records: u64, within: Duration },
    #[error(
        "upgrade_of_first_process: the server is the first process of its container, which ends with it. Replace the \
         container instead"
    )]
    FirstProcess,
    #[error("upgrade_in_progress: the server starts another binary already. Wait for its result")]
    InProgress,
    #[error(
        "upgrade_draining: the process of an earlier upgrade still drains in {}. Repeat the command when it has ended",
        folder.display()
    )]
    Draining { folder: PathBuf },
    #[error(
        "upgrade_failed: the request of `tollgate upgrade` in {} cannot be read: {source}. Run the command as the user of \
         the server",
        folder.display()
    )]
    UnreadableRequest { folder: PathBuf, source: io::Error },
    #[error("upgrade_failed: {} cannot be started with the listening sockets: {source}", program.display())]
    Spawn { program: PathBuf, source: io::Error },
    #[error("upgrade_refused: the new process cannot serve: {reason}")]
    Refused { reason: String },
    #[error("upgrade_ended: the new process has ended ({status}) before it was ready. Its log has the reason")]
    Ended { status: String },
    #[error(
        "upgrade_timed_out: the new process was not ready within {} s and was killed. `upgrade.timeout` is this time",
        within.as_secs()
    )]
    TimedOut { within: Duration },
}
