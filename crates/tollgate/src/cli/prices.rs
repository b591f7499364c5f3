//! `tollgate prices`.

use std::path::PathBuf;

use access::Day;
use clap::{Args, Subcommand};

use super::Place;

pub(super) const PRICES_EXAMPLES: &str = "Examples:
  tollgate prices list                                every price: configured ones, then those of the built-in table
  tollgate prices list --model gpt-5.6 --json         with tiers, long requests, fees, source and version
  tollgate prices list --on 2027-01-01                what applies on that day
  tollgate prices diff prices-2026-12-01.yaml         what a price file would change
  tollgate prices diff prices.yaml --config tollgate.yaml

Prices are US dollars: per million tokens, and per piece where a key begins with per_. `prices_file` in the configuration
takes a file into use; with `prices_key` its signature is checked, here too.";

#[derive(Debug, Args)]
pub(crate) struct PricesCommands {
    #[command(subcommand)]
    pub(crate) command: PricesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PricesCommand {
    /// List the prices that are in force
    List {
        /// Only names that contain this text
        #[arg(long, value_name = "TEXT")]
        model: Option<String>,
        /// Only prices that apply on this day, as in 2027-01-01
        #[arg(long, value_name = "DAY", value_parser = day)]
        on: Option<Day>,
        /// As JSON, with every figure
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Show what a price file would change
    Diff {
        /// The price file
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
}

fn day(text: &str) -> Result<Day, &'static str> {
    Day::parse(text).ok_or("expected a day, as in 2027-01-01")
}
