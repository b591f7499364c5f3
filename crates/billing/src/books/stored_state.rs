//! Stored rows as the rules read them.

use ledger::billing::{StoredInvoice, StoredPlanVersion, StoredSubscription};

use super::error::BillingError;
use crate::rules::invoice::PlanTerms;
use crate::rules::invoice_state::InvoiceState;
use crate::rules::subscription::SubscriptionState;

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
