//! Arguments of `tollgate nodes`.

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::Place;

pub(super) const NODES_EXAMPLES: &str = "Examples:
  # Which servers run, and whose usage is awaited?
  tollgate nodes list
  # Forget a server whose data folder is lost
  tollgate nodes forget \\
      0199aa00-0000-7000-8000-000000000000
  # Store the usage of a stopped server before it is deleted
  tollgate nodes drain --config tollgate.yaml \\
      --data /var/lib/tollgate

Invoices and reviews of days wait for the usage of every server, also of one that died. If its data folder exists, start \
Tollgate on it, or drain it. Forget it only if the folder is lost. Other servers may be \
running.";

#[derive(Debug, Args)]
pub(crate) struct NodesCommands {
    #[command(subcommand)]
    pub(crate) command: NodesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodesCommand {
    /// List servers with their state, and the time until which their usage is stored
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Stop waiting for the usage of a server whose data folder is lost
    Forget {
        /// Id of the server, as the failed job `billing_close` reports it
        #[arg(value_name = "ID")]
        node: Uuid,
        #[command(flatten)]
        place: Place,
    },
    /// Store the usage that a stopped server left in its data folder, and return its leases
    Drain {
        #[command(flatten)]
        place: Place,
    },
}
