//! Arguments of `tollgate prices`.

use std::path::PathBuf;

use access::Day;
use clap::{Args, Subcommand};

use super::Place;

pub(super) const PRICES_EXAMPLES: &str = "Examples:
  tollgate prices list
  tollgate prices list --model gpt-5.6 --all
  tollgate prices list --on 2027-01-01
  tollgate prices diff prices-2026-12-01.yaml
  tollgate prices diff prices.yaml --config tollgate.yaml
  tollgate prices check

Prices are US dollars per million tokens, or per unit if the name of a rate begins with `per_`. `list` prints \
configured prices, then those of the built-in table. `diff` prints what a price file would change. `check` \
prints the models that calls of the last 7 days had no price for, and exits with 3 if there are any. The configuration \
key `prices_file` activates a file; with `prices_key`, Tollgate verifies its signature.";

#[derive(Debug, Args)]
pub(crate) struct PricesCommands {
    #[command(subcommand)]
    pub(crate) command: PricesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PricesCommand {
    /// List the prices in force
    List {
        /// List only models whose name contains this text
        #[arg(long, value_name = "TEXT")]
        model: Option<String>,
        /// List only prices that apply on this day, such as 2027-01-01
        #[arg(long, value_name = "DAY", value_parser = day)]
        on: Option<Day>,
        /// Print all rates, in place of those of input and output
        #[arg(long)]
        all: bool,
        /// Print JSON with all rates
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// List the models that calls of the last 7 days had no price for
    Check {
        /// Print JSON in place of lines
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Show the changes that a price file would make
    Diff {
        /// Price file to compare
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
}

fn day(text: &str) -> Result<Day, &'static str> {
    Day::parse(text).ok_or("expected a day, such as 2027-01-01")
}
