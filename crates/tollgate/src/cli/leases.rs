//! `tollgate leases`.

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::Place;

pub(super) const LEASES_EXAMPLES: &str = "Examples:
  tollgate leases list                       what each server is lent of quotas and budgets
  tollgate leases list --json
  tollgate leases reclaim                    of every server that was silent for a minute
  tollgate leases reclaim --node 0199aa00-0000-7000-8000-000000000000

On PostgreSQL servers share quotas; SQLite has one server, and lends nothing. What a dead server was lent comes back by
itself when it starts again, or with the end of the period. Reclaim it only if that server does not run any more:
what it still spends would be spent twice.";

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
