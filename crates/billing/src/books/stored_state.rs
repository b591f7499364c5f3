//! Stored rows as the rules read them.

use ledger::billing::{ChargedDay, StoredPlanVersion};

use crate::rules::invoice::PlanTerms;
use crate::rules::usage::UsageDay;

/// Returns a version of a plan as the rules read it.
pub(crate) fn terms(version: &StoredPlanVersion) -> PlanTerms<'_> {
    PlanTerms { version: version.id, name: &version.name, price: &version.price }
}

/// Returns stored usage as the rules read it.
pub(crate) fn usage_day(of: ChargedDay) -> UsageDay {
    UsageDay {
        day: of.day,
        model: of.model,
        requests: of.requests,
        credits: of.credits,
        tokens: of.tokens,
        cost_nano: of.cost_nano,
        unpriced_requests: of.unpriced_requests,
    }
}
