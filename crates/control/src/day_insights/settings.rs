//! The settings of insights that are in force.

use access::Refusal;
use insights::InsightSettings;

use crate::problem::Problem;
use crate::state::State;

/// Returns the settings in force: the last stored ones, otherwise the defaults.
///
/// # Errors
/// `unavailable`; `internal` for stored settings that this version cannot read.
pub(crate) async fn in_force(state: &State) -> Result<InsightSettings, Problem> {
    let Some((number, text)) = state.ledger.insight_settings().await? else { return Ok(InsightSettings::default()) };
    let settings: InsightSettings = serde_json::from_str(&text).map_err(Problem::fault)?;
    Ok(InsightSettings { version: number, ..settings })
}

/// The problem of settings that another request has changed.
pub(crate) fn changed() -> Problem {
    Problem::new(Refusal::Conflict, "the settings have changed since they were read; read them again")
}
