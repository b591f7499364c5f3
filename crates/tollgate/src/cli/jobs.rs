//! Arguments of `tollgate jobs`.

use clap::{Args, Subcommand};

use super::Place;

pub(super) const JOBS_EXAMPLES: &str = "Examples:
  # List all jobs, with the last run of each
  tollgate jobs list
  tollgate jobs list --json

A job of `one node` runs on one server of the store at a time; the list shows its last run on any of them. \
Without work, `mail`, `midtrans_notifications` and `webhooks` run every half minute only. Every server \
runs the jobs of `each node` for itself and reports them in its metrics (tollgate_job_*).";

#[derive(Debug, Args)]
pub(crate) struct JobsCommands {
    #[command(subcommand)]
    pub(crate) command: JobsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// List background jobs and their last runs
    List {
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}
