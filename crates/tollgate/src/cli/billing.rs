//! Arguments of `tollgate billing`.

use access::Day;
use clap::{Args, Subcommand};

use super::Place;

pub(super) const BILLING_EXAMPLES: &str = "Examples:
  # Close all periods that have ended
  tollgate billing close --config tollgate.yaml
  # Close those that ended in November or before
  tollgate billing close --config tollgate.yaml \\
      --last-day 2026-11-30

The job billing_close does the same every minute. A period is closed once: a repeat makes no invoice. The exit code is 0, \
and 1 if a period could not be closed; the log names it. Servers may be running.";

#[derive(Debug, Args)]
pub(crate) struct BillingCommands {
    #[command(subcommand)]
    pub(crate) command: BillingCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BillingCommand {
    /// Make the invoices of periods that have ended
    Close {
        /// Last day of the periods, in UTC [default: yesterday]
        #[arg(long, value_name = "DAY", value_parser = day)]
        last_day: Option<Day>,
        #[command(flatten)]
        place: Place,
    },
}

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "expected a day, such as 2026-11-30".to_owned())
}
