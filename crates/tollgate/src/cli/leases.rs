//! Arguments of `tollgate leases`.

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::Place;

pub(super) const LEASES_EXAMPLES: &str = "Examples:
  # List the leases of each server
  tollgate leases list
  tollgate leases list --json
  # Reclaim leases of servers silent for a minute
  tollgate leases reclaim
  tollgate leases reclaim \\
      --node 0199aa00-0000-7000-8000-000000000000

Servers on PostgreSQL share quotas and budgets by leases. SQLite has one server and no leases. The lease of a server \
that died returns when that server restarts, or when the period ends. Reclaim a lease only if its server does not \
run: otherwise, the amount that this server still spends is spent twice.";

#[derive(Debug, Args)]
pub(crate) struct LeasesCommands {
    #[command(subcommand)]
    pub(crate) command: LeasesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LeasesCommand {
    /// List leases of the current periods
    List {
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Reclaim unspent amounts from servers that do not respond
    Reclaim {
        /// Reclaim only from this server: the id in the file `node` of its data folder
        #[arg(long, value_name = "ID")]
        node: Option<Uuid>,
        #[command(flatten)]
        place: Place,
    },
}
