//! Arguments of `tollgate limits`.

use clap::Args;

use super::Place;

pub(super) const LIMITS_EXAMPLES: &str = "Examples:
  tollgate limits
  # As JSON, as GET /api/limits responds
  tollgate limits --config tollgate.yaml --json

Overshoot is the maximum of requests beyond a limit. Unusable is the maximum of credits that cannot be used until a dead \
server restarts. Both depend on the live servers and on Redis, which shares limits of requests between servers.

The use of quotas is that in the store: a running server records it within a second. The counts of requests are known \
to running servers only: GET /api/limits reports them. `tollgate budgets list` lists budgets.";

#[derive(Debug, Args)]
pub(crate) struct Limits {
    /// Print JSON, as GET /api/limits responds
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}
