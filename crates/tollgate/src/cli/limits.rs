//! `tollgate limits`.

use std::num::NonZeroUsize;

use clap::Args;

use super::Place;

pub(super) const LIMITS_EXAMPLES: &str = "Examples:
  tollgate limits
  tollgate limits --config tollgate.yaml --json
  # For servers that run with --workers 4
  tollgate limits --workers 4

Overshoot is the most that can be used beyond a limit. Stranded is the most that nobody can use while a server that died \
stays away. Both follow from the store, the live servers, Redis and the configuration. Redis shares control.rate_limits and \
rate_limits between servers. Each server counts requests_per_minute of plans and keys by itself.";

#[derive(Debug, Args)]
pub(crate) struct Limits {
    /// As JSON; money in billionths of a dollar
    #[arg(long)]
    pub(crate) json: bool,
    /// Worker threads of each server [default: as many as it starts on this machine]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<NonZeroUsize>,
    #[command(flatten)]
    pub(crate) place: Place,
}
