//! Stored rows as the rules read them.

use ledger::billing::StoredPlanVersion;

use crate::rules::invoice::PlanTerms;

/// Returns a version of a plan as the rules read it.
pub(crate) fn terms(version: &StoredPlanVersion) -> PlanTerms<'_> {
    PlanTerms { version: version.id, name: &version.name, price: &version.price }
}
