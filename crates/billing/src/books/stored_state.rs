//! Stored rows as the rules read them.

use ledger::billing::{ChargedDay, StoredInvoice, StoredPlanVersion, StoredSubscription};

use super::error::BillingError;
use crate::rules::invoice::PlanTerms;
use crate::rules::invoice_state::InvoiceState;
use crate::rules::subscription::SubscriptionState;
use crate::rules::usage::UsageDay;

/// Returns a version of a plan as the rules read it.
pub(crate) fn terms(version: &StoredPlanVersion) -> PlanTerms<'_> {
    PlanTerms { version: version.id, name: &version.name, price: &version.price }
}

/// Returns the state of a subscription.
///
/// # Errors
/// [`BillingError::Inconsistent`] if this version does not know the state.
pub fn state_of(of: &StoredSubscription) -> Result<SubscriptionState, BillingError> {
    SubscriptionState::of_name(&of.state).ok_or(BillingError::Inconsistent("the state of a subscription is unknown"))
}

/// Returns the state of an invoice.
///
/// # Errors
/// [`BillingError::Inconsistent`] if this version does not know the state.
pub(crate) fn invoice_state(of: &StoredInvoice) -> Result<InvoiceState, BillingError> {
    InvoiceState::of_name(&of.state).ok_or(BillingError::Inconsistent("the state of an invoice is unknown"))
}

/// Returns stored usage as the rules read it.
pub(crate) fn usage_day(of: ChargedDay) -> UsageDay {
    let count = |stored: i64| u64::try_from(stored).unwrap_or(0);
    UsageDay {
        day: of.day,
        model: of.model,
        requests: count(of.requests),
        credits: count(of.credits),
        tokens: count(of.tokens),
        cost_nano: count(of.cost_nano),
        unpriced_requests: count(of.unpriced_requests),
    }
}
