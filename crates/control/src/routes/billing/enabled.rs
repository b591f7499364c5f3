//! The books if billing is enabled, and the problem for each of their errors.

use std::sync::Arc;

use access::Refusal;
use billing::midtrans::MidtransError;
use billing::{BillingError, Books};

use crate::message::problem::Problem;
use crate::process::state::App;

/// Returns the books with the settings in force. An endpoint reads them once.
///
/// # Errors
/// `not_found` if billing is off.
pub(super) fn books(app: &Arc<App>) -> Result<Books, Problem> {
    let off = || Problem::new(Refusal::NotFound, "billing is off; an admin can set `billing.enabled`");
    app.billing.current().ok_or_else(off)
}

/// Maps an error of the books. Details of the provider are in the log only.
pub(super) fn refused(error: BillingError) -> Problem {
    match error {
        BillingError::NotForSale { .. } => Problem::new(Refusal::Unprocessable, "this plan is not for sale"),
        BillingError::Change(_)
        | BillingError::Credit(_)
        | BillingError::Refund(_)
        | BillingError::Method
        | BillingError::Currency(_) => Problem::new(Refusal::Unprocessable, error.to_string()),
        BillingError::AlreadySubscribed | BillingError::Conflict(_) | BillingError::CreditSpent => {
            Problem::new(Refusal::Conflict, error.to_string())
        }
        BillingError::NoSubscription
        | BillingError::NoInvoice
        | BillingError::NoPayment
        | BillingError::NoWebhook
        | BillingError::NoDelivery => Problem::new(Refusal::NotFound, error.to_string()),
        BillingError::NoProvider => {
            Problem::new(Refusal::PaymentUnavailable, "this server cannot take payments; contact its operator")
        }
        BillingError::Provider(MidtransError::Refused { code, .. }) if code < 500 && code != 429 => {
            Problem::new(Refusal::PaymentUnavailable, "the payment provider refused the payment; use another method")
        }
        BillingError::Provider(error @ MidtransError::NotPayable) => {
            let message = "the payment provider returned no QR code and no account number; use another method";
            Problem::caused(Refusal::PaymentUnavailable, message, error)
        }
        BillingError::Provider(error) => {
            let message = "the payment provider does not respond; try again in a minute";
            Problem::caused(Refusal::PaymentUnavailable, message, error)
        }
        BillingError::User(error) => error.into(),
        BillingError::MasterKeyRetired(error) => error.into(),
        BillingError::Sealing(error) => {
            Problem::caused(Refusal::Unavailable, "the secret could not be sealed; try again", error)
        }
        BillingError::Database(error) => error.into(),
        BillingError::Blocked { .. }
        | BillingError::Unclosed { .. }
        | BillingError::Rating(_)
        | BillingError::Overflow(_)
        | BillingError::Inconsistent(_) => Problem::fault(error),
    }
}
