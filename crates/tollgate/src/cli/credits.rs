//! Arguments of `tollgate credits`.

use clap::{Args, Subcommand};

use super::Place;

pub(super) const CREDITS_EXAMPLES: &str = "Examples:
  tollgate credits price fast --input 1000 --output 500
  tollgate credits price openai/gpt-5 --input 200000 --json

`price` prints what a call with these tokens costs in each plan of the configuration.";

#[derive(Debug, Args)]
pub(crate) struct CreditsCommands {
    #[command(subcommand)]
    pub(crate) command: CreditsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CreditsCommand {
    /// Print what a call costs in each plan
    Price(PriceCredits),
}

#[derive(Debug, Args)]
pub(crate) struct PriceCredits {
    /// Name of `models`, or PROVIDER/MODEL
    pub(crate) model: String,
    /// Input tokens that no cache has
    #[arg(long, value_name = "TOKENS", default_value_t = 0)]
    pub(crate) input: u64,
    /// Output tokens, with reasoning
    #[arg(long, value_name = "TOKENS", default_value_t = 0)]
    pub(crate) output: u64,
    /// Input tokens that are read from a cache
    #[arg(long, value_name = "TOKENS", default_value_t = 0)]
    pub(crate) cached_input: u64,
    /// Input tokens that are written to a cache
    #[arg(long, value_name = "TOKENS", default_value_t = 0)]
    pub(crate) cache_write: u64,
    /// Print JSON in place of lines
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}
