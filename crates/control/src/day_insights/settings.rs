//! The settings of insights that are in force.

use access::Refusal;
use insights::InsightSettings;
use sha2::{Digest, Sha256};

use crate::problem::Problem;
use crate::state::State;

/// Returns the settings in force: the last stored ones, otherwise those of the configuration.
///
/// # Errors
/// `unavailable`; `internal` for stored settings that this version cannot read.
pub(crate) async fn in_force(state: &State) -> Result<InsightSettings, Problem> {
    let Some((number, text)) = state.ledger.insight_settings().await? else {
        return Ok(InsightSettings::clone(&state.live.load().traffic.insights));
    };
    let settings: InsightSettings = serde_json::from_str(&text).map_err(Problem::fault)?;
    Ok(InsightSettings { version: number, ..settings })
}

/// Returns a digest of settings, so that responses of other settings are not taken for theirs. The version does not suffice:
/// another configuration has the same one.
pub(crate) fn digest(settings: &InsightSettings) -> u64 {
    // Numbers and texts can always be written.
    let text = serde_json::to_vec(settings).unwrap_or_default();
    Sha256::digest(text).first_chunk().map_or(0, |start| u64::from_be_bytes(*start))
}

/// The problem of settings that another request has changed.
pub(crate) fn changed() -> Problem {
    Problem::new(Refusal::Conflict, "the settings have changed since they were read; read them again")
}
