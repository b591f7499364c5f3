//! Arguments of `tollgate billing`.

use access::Day;
use clap::{Args, Subcommand};
use ledger::billing::PeriodState;

use super::Place;

pub(super) const BILLING_EXAMPLES: &str = "Examples:
  # Close all periods that have ended
  tollgate billing close --config tollgate.yaml
  # Close those that ended in November or before
  tollgate billing close --config tollgate.yaml \\
      --last-day 2026-11-30
  # Periods that have ended and are not closed
  tollgate billing list --config tollgate.yaml \\
      --state waiting
  # The price of a plan in a draft of the configuration
  tollgate billing shadow --config draft.yaml --plan pro

The job billing_close does the same as `close` every minute. A period is closed once: a repeat makes no invoice. The exit \
code is 0, and 1 if a period could not be closed, with its cause on stderr. `list` and `shadow` change nothing. Servers may be \
running.";

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
    /// List the periods of all subscriptions, newest first, with their invoices
    List {
        /// Only periods in this state: `current`, `waiting` or `closed`
        #[arg(long, value_name = "STATE", value_parser = state)]
        state: Option<PeriodState>,
        #[command(flatten)]
        place: Place,
    },
    /// Compare what users pay with the price of a plan in the configuration, without tax
    Shadow {
        /// Plan whose price is tried
        #[arg(long, value_name = "NAME")]
        plan: String,
        /// Number of complete months before the current one, from 1 to 3
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3))]
        months: u32,
        #[command(flatten)]
        place: Place,
    },
}

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "expected a day, such as 2026-11-30".to_owned())
}

fn state(text: &str) -> Result<PeriodState, String> {
    let found = PeriodState::ALL.into_iter().find(|state| state.as_str() == text);
    found.ok_or_else(|| format!("expected {}", PeriodState::ALL.map(PeriodState::as_str).join(", ")))
}
