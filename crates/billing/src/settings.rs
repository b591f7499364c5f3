//! The settings of billing, as plain data.

use std::time::Duration;

use access::{SeriesForm, TimeZone};
use ledger::billing::InvoiceParty;

use crate::rules::exchange::ExchangeRates;
use crate::rules::tax::TaxRule;

/// The settings of subscriptions and invoices.
#[derive(Debug, Clone)]
pub struct BillingSettings {
    /// The form of invoice numbers.
    pub number: SeriesForm,
    /// The zone of printed times.
    pub zone: TimeZone,
    /// Time after a period, and after its usage is stored, before its invoice is made.
    pub close_after: Duration,
    /// Whether finance approves each invoice.
    pub has_review: bool,
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
