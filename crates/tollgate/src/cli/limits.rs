//! Arguments of `tollgate limits`.

use clap::Args;

use super::Place;

pub(super) const LIMITS_EXAMPLES: &str = "Examples:
  tollgate limits
  tollgate limits --config tollgate.yaml --json
  # For servers that run with --workers 4
  tollgate limits --workers 4

Overshoot is the maximum use beyond a limit. Stranded is the maximum amount that is unusable until a dead server \
restarts. Both depend on the store, the live servers, Redis and the configuration. Redis shares control.rate_limits, \
rate_limits, and requests_per_minute of plans and keys between servers.

The use of quotas of clients without a user is that in the store: a running server records it within a second. The \
counts of requests per minute are known to running servers only: GET /api/limits reports them.";

#[derive(Debug, Args)]
pub(crate) struct Limits {
    /// Print JSON; money is in nano-USD
    #[arg(long)]
    pub(crate) json: bool,
    /// Worker threads of each server [default: those of the configuration on this machine]
    #[arg(long, value_name = "N", value_parser = super::settings::workers())]
    pub(crate) workers: Option<u32>,
    #[command(flatten)]
    pub(crate) place: Place,
}
