//! Arguments of `tollgate upgrade`.

use std::path::PathBuf;

use clap::Args;

use super::Place;

pub(super) const UPGRADE_EXAMPLES: &str = "Examples:
  # After the binary was replaced at its path
  tollgate upgrade --config /etc/tollgate/tollgate.yaml
  tollgate upgrade --binary /opt/tollgate-1.1/tollgate

The server on the data folder starts the binary with its listening sockets and its own arguments, and drains once the new \
process is ready. On SQLite, requests with a key that run for more than 3 s keep the old process. The exit status is 0 if the \
new process serves, and 1 if the old one continues.";

#[derive(Debug, Args)]
pub(crate) struct Upgrade {
    /// The binary to start [default: the path of the running one]
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: Place,
}
