//! The settings of insights that are in force.

use access::Refusal;
use insights::InsightSettings;

use crate::message::problem::Problem;
use crate::process::known_settings;
use crate::process::state::State;

/// Returns the settings in force: the last stored ones, otherwise those of the configuration.
///
/// # Errors
/// `unavailable`; `internal` for stored settings that this version cannot read.
pub(crate) async fn in_force(state: &State) -> Result<InsightSettings, Problem> {
    known_settings::in_force(&state.ledger, &state.live.load().traffic.insights).await
}

/// The problem of settings that another request has changed.
pub(crate) fn changed() -> Problem {
    Problem::new(Refusal::Conflict, "the settings have changed since they were read; read them again")
}
