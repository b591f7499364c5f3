//! `tollgate leases`.

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::Place;

pub(super) const LEASES_EXAMPLES: &str = "Examples:
  # List what each server holds of quotas and budgets
  tollgate leases list
  tollgate leases list --json
  # Take back leases of servers that are silent for a minute
  tollgate leases reclaim
  tollgate leases reclaim \\
      --node 0199aa00-0000-7000-8000-000000000000

Servers on PostgreSQL share quotas by leases. On SQLite there is one server and no lease. The lease of a server that died \
returns when that server starts again, or when the period ends. Reclaim a lease only if its server does not run: what that \
server still spends is otherwise spent twice.";

#[derive(Debug, Args)]
pub(crate) struct LeasesCommands {
    #[command(subcommand)]
    pub(crate) command: LeasesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LeasesCommand {
    /// List what is lent of days and months that are not over
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Take back what servers that do not answer have not spent
    Reclaim {
        /// Only of this one, by the id in the file `node` of its data folder
        #[arg(long, value_name = "ID")]
        node: Option<Uuid>,
        #[command(flatten)]
        place: Place,
    },
}
