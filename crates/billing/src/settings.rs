//! The settings of billing, as plain data.

use std::time::Duration;

use access::{SeriesForm, TimeZone};
use ledger::billing::InvoiceParty;

use crate::rules::exchange::ExchangeRates;
use crate::rules::tax::TaxRule;

/// What the invoice of a period waits for before it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvoiceReview {
    /// The invoice is opened at once.
    None,
    /// Finance approves the invoice by hand.
    Finance,
    /// All days of the ended period are signed off in insights; then it is opened by the job that closes periods.
    Signoff,
}

impl InvoiceReview {
    /// Whether the invoice of a period waits. Without charged usage, no day is to be signed off.
    pub(crate) const fn holds(self, has_charged_usage: bool) -> bool {
        match self {
            Self::None => false,
            Self::Finance => true,
            Self::Signoff => has_charged_usage,
        }
    }
}

/// The settings of subscriptions and invoices.
#[derive(Debug, Clone)]
pub struct BillingSettings {
    /// The form of invoice numbers.
    pub number: SeriesForm,
    /// The zone of printed times.
    pub zone: TimeZone,
    /// Time after a period, and after its usage is stored, before its invoice is made.
    pub close_after: Duration,
    /// What the invoice of a period waits for.
    pub review: InvoiceReview,
    /// Time in which an invoice is paid.
    pub due: Duration,
    /// Time after that with the whole plan.
    pub grace: Duration,
    /// Time after that with the fallback plan.
    pub last: Duration,
    /// The plan of users whose subscription is pending, limited or cancelled.
    pub fallback_plan: String,
    /// The seller on invoices.
    pub seller: InvoiceParty,
    /// The tax on every invoice.
    pub tax: Option<TaxRule>,
    /// Whether a server takes mails. Without one, no mails are added.
    pub has_mail: bool,
    /// Exchange rates for cost in dollars.
    pub exchange: ExchangeRates,
}
