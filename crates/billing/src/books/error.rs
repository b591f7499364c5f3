//! Why a change of the books is refused.

use access::Currency;
use store::sealed::vault::{RetiredMasterKey, SealingError};
use store::{DatabaseError, UserError};
use thiserror::Error;
use uuid::Uuid;

use crate::midtrans::MidtransError;
use crate::rules::credit_note::CreditNoteError;
use crate::rules::payment::RefundTooLarge;
use crate::rules::plan_change::PlanChangeError;
use crate::rules::rounding::AmountOverflow;
use crate::rules::usage::RatingError;

/// Why a change of the books is refused. Nothing was written then.
#[derive(Debug, Error)]
pub enum BillingError {
    /// The plan has no price, or does not exist.
    #[error("the plan {plan} is not for sale")]
    NotForSale {
        /// The name of the plan.
        plan: String,
    },
    /// The user has a subscription that is not cancelled.
    #[error("the user already has a subscription; change or cancel it")]
    AlreadySubscribed,
    /// The user has no subscription.
    #[error("the user has no subscription")]
    NoSubscription,
    /// The state of the object does not allow the change.
    #[error("{0}")]
    Conflict(&'static str),
    /// The wallet has spent a credit note of the invoice, so that voiding it would take back more than the wallet has.
    #[error("the wallet has already spent a credit note of this invoice: write the invoice off")]
    CreditSpent,
    /// The invoice does not exist, or belongs to another user.
    #[error("no invoice has this id")]
    NoInvoice,
    /// The payment does not exist, or belongs to another user.
    #[error("no payment has this id")]
    NoPayment,
    /// The webhook does not exist.
    #[error("no webhook has this id")]
    NoWebhook,
    /// The delivery does not exist, or belongs to another webhook.
    #[error("no delivery has this id")]
    NoDelivery,
    /// This node's master key may no longer seal secrets.
    #[error(transparent)]
    MasterKeyRetired(#[from] RetiredMasterKey),
    /// A secret could not be sealed.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The method is not offered, or its limits do not fit the amount.
    #[error("the method is not offered for this amount: see `GET /api/billing/methods`")]
    Method,
    /// No method of payment takes the currency of the invoice.
    #[error("no payment method takes {}: ask the seller how to pay this invoice", .0.code())]
    Currency(Currency),
    /// No account at the payment provider is configured.
    #[error("no payment provider is configured: set midtrans.server_key")]
    NoProvider,
    /// The payment provider did not accept the payment.
    #[error(transparent)]
    Provider(#[from] MidtransError),
    /// The change of the plan is not possible.
    #[error(transparent)]
    Change(#[from] PlanChangeError),
    /// The amount of a credit note is not in the range.
    #[error(transparent)]
    Credit(#[from] CreditNoteError),
    /// The amount of a refund is not in the range.
    #[error(transparent)]
    Refund(#[from] RefundTooLarge),
    /// The usage has no amount.
    #[error(transparent)]
    Rating(#[from] RatingError),
    /// An amount does not fit.
    #[error(transparent)]
    Overflow(#[from] AmountOverflow),
    /// The user or the fallback plan is missing.
    #[error(transparent)]
    User(#[from] UserError),
    /// A node stopped before its usage was stored, so periods cannot be closed.
    #[error(
        "{periods} billing periods cannot be closed, because node {} has not stored its usage: start it with its data folder; if \
         the folder is lost, run `tollgate nodes forget`",
        .node.map_or_else(|| "unknown".to_owned(), |node| node.to_string())
    )]
    Blocked {
        /// Number of periods that wait.
        periods: usize,
        /// The node whose usage is stored until the earliest time.
        node: Option<Uuid>,
    },
    /// Some periods could not be closed, for reasons of their own.
    #[error("{periods} billing periods could not be closed; the log names each with its cause")]
    Unclosed {
        /// The number of such periods.
        periods: usize,
    },
    /// Rows contradict each other.
    #[error("rows of billing contradict each other: {0}")]
    Inconsistent(&'static str),
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl BillingError {
    /// Returns the error of some rows, such as an unreadable value or a violated constraint: other rows need not wait.
    ///
    /// # Errors
    /// The error of a database that is unreachable, full or damaged, which every row would have.
    pub(crate) fn of_rows(self) -> Result<Self, DatabaseError> {
        let is_of_rows =
            |error: &DatabaseError| matches!(error, DatabaseError::Unreadable { .. } | DatabaseError::Database(_));
        if let Self::Database(error) | Self::User(UserError::Database(error)) = self {
            return if is_of_rows(&error) { Ok(error.into()) } else { Err(error) };
        }
        Ok(self)
    }
}
