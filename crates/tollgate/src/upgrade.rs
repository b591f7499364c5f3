//! The upgrade in place: a running server starts another binary with its listening sockets, and drains once that one is ready.
//!
//! Read in this order: [`request`] (the files between `tollgate upgrade` and the server), [`successor`] (the start of the other
//! process). The other side is `crate::inherited`.

pub(crate) mod request;
pub(crate) mod successor;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// The reason why a server was not replaced. It continues to serve.
#[derive(Debug, Error)]
pub(crate) enum UpgradeFault {
    #[error(
        "upgrade_needs_postgres: on SQLite, one process writes to the store, so that a server cannot be replaced while it \
         serves. Restart it; a socket unit of systemd keeps connections waiting meanwhile (docs/upgrade.md)"
    )]
    NeedsPostgres,
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
