//! `tollgate limits`.

use std::num::NonZeroUsize;

use clap::Args;

use super::Place;

pub(super) const LIMITS_EXAMPLES: &str = "Examples:
  tollgate limits                            every limit, and how far it may be passed or withheld as things stand
  tollgate limits --config tollgate.yaml --json
  tollgate limits --workers 4                of servers that were started with --workers 4

Overshoot is how much more than the limit may be used at the most; stranded is how much of it nobody can use while a server
that died stays away. Both follow from the store, the servers that live on it, Redis and the configuration.";

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
