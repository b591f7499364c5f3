//! The rows of billing, and the usage that is charged. Functions take the transaction of their caller: `billing` decides
//! what belongs together.
//!
//! No function decides an amount or a state; the rules are in the crate `billing`.

pub mod billed_periods;
pub mod charged_requests;
pub mod charged_usage;
pub mod exports;
mod invoiced_days;
pub mod invoices;
pub mod listed_postings;
pub mod mails;
mod parsing;
pub mod parties;
pub mod payments;
pub mod plan_lines;
pub mod plan_versions;
pub mod postings;
pub mod profiles;
pub mod receipts;
pub mod received_money;
pub mod refunds;
pub mod subscriptions;
pub mod webhook_deliveries;
pub mod webhook_endpoints;

/// A transaction of the store that changes the books.
pub use store::sql::Transaction as BooksTransaction;

pub use billed_periods::{BilledPeriod, ClosingInvoice, PeriodFilter, PeriodState};
pub use charged_requests::{CHARGED_PAGE, ChargedAttempt, ChargedDayOf, ChargedPrice, ChargedRequest, FoldedRequests};
pub use invoices::{NewInvoice, StoredInvoice, StoredInvoiceLine};
pub use listed_postings::{ListedPosting, PostingFilter};
pub use mails::StoredMail;
pub use parties::{BilledUser, InvoiceParties, InvoiceParty};
pub use payments::{NewNotification, NewPayment, PaymentFilter, StoredPayment, WaitingNotification};
pub use plan_versions::StoredPlanVersion;
pub use postings::{NewPosting, PostingSum, StoredPosting};
pub use profiles::BillingProfile;
pub use receipts::{StoredInvoiceDay, StoredTerms};
pub use received_money::ReceivedMoney;
pub use refunds::StoredRefund;
pub use subscriptions::{DaysOfVersion, NewSubscription, StoredSubscription};

#[cfg(test)]
mod tests;

/// Returns the SQL texts of the module.
#[cfg(test)]
pub(crate) const LISTS: &[&crate::fixture::Statements] = &[
    billed_periods::STATEMENTS,
    charged_requests::STATEMENTS,
    charged_usage::STATEMENTS,
    exports::STATEMENTS,
    invoices::STATEMENTS,
    listed_postings::STATEMENTS,
    mails::STATEMENTS,
    parties::STATEMENTS,
    payments::STATEMENTS,
    plan_lines::STATEMENTS,
    plan_versions::STATEMENTS,
    postings::STATEMENTS,
    receipts::STATEMENTS,
    received_money::STATEMENTS,
    profiles::STATEMENTS,
    refunds::STATEMENTS,
    subscriptions::STATEMENTS,
    webhook_deliveries::STATEMENTS,
    webhook_endpoints::STATEMENTS,
];
