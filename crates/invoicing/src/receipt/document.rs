//! The documents of a receipt.

use access::{Currency, Day, PlanPrice};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::rules::invoice::{InvoiceLine, PlanTerms};
use crate::rules::iso_day;
use crate::rules::period::BillingPeriod;
use crate::rules::tax::TaxAmount;
use crate::rules::terms::InvoiceTerms;

/// The name of the invoice in the zip.
pub const INVOICE: &str = "invoice.json";
/// The name of the plan versions in the zip.
pub const PLANS: &str = "plans.json";
/// The name of the terms in the zip: tax, exchange rates and usage.
pub const TERMS: &str = "terms.json";
/// The name of the list of days in the zip.
pub const DAYS: &str = "days.json";

/// An invoice as it was opened. Payments and credit notes, which follow later, are not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptInvoice {
    /// Id of the invoice.
    pub id: Uuid,
    /// The number in its series.
    pub number: String,
    /// The name of the kind.
    pub kind: String,
    /// The user who owes it.
    pub user_id: Uuid,
    /// The subscription; absent for an invoice without one.
    pub subscription_id: Option<Uuid>,
    /// The invoice that a credit note corrects.
    pub corrects_id: Option<Uuid>,
    /// The time at which it was opened, as RFC 3339.
    pub issued_at: String,
    /// The days of the invoice.
    pub days: BillingPeriod,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The lines in the order of printing.
    pub lines: Vec<InvoiceLine>,
    /// The sum of the lines.
    pub subtotal: i64,
    /// The name of the tax; empty without one.
    pub tax_name: String,
    /// The tax on the subtotal.
    pub tax: TaxAmount,
    /// The sum of subtotal and tax.
    pub total: i64,
}

/// A version of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanVersionDocument {
    /// Id of the version.
    pub id: Uuid,
    /// Name of the plan.
    pub plan: String,
    /// Number of the version, from 1 for each plan.
    pub version: i64,
    /// The price of this version.
    pub price: PlanPrice,
}

/// A day with usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedDay {
    /// The UTC day of admission.
    #[serde(with = "iso_day")]
    pub day: Day,
    /// Number of rows of the day's file.
    pub rows: u64,
    /// SHA-256 of the day's file, in hex digits; empty if the requests did not add up to the usage of the invoice.
    pub sha256: String,
}

/// The documents of a receipt, without the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptDocuments {
    /// The invoice as it was opened.
    pub invoice: ReceiptInvoice,
    /// The versions of plans that its lines need.
    pub plans: Vec<PlanVersionDocument>,
    /// What its lines were computed from.
    pub terms: InvoiceTerms,
    /// The days with usage, in their order.
    pub days: Vec<ListedDay>,
}

impl PlanVersionDocument {
    /// Returns the version as the rules read it.
    pub(crate) fn terms(&self) -> PlanTerms<'_> {
        PlanTerms { version: self.id, name: &self.plan, price: &self.price }
    }
}

impl ListedDay {
    /// Returns the name of the day's file in the zip.
    #[must_use]
    pub fn file_name(day: Day) -> String {
        format!("requests/{day}.jsonl")
    }
}

impl ReceiptDocuments {
    /// Reads the documents. `bytes` returns the content of a file.
    ///
    /// # Errors
    /// Those of `bytes`, and [`serde_json::Error`] as `E` for a document of another form.
    pub fn read<E: From<serde_json::Error>>(mut bytes: impl FnMut(&str) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        Ok(Self {
            invoice: serde_json::from_slice(&bytes(INVOICE)?)?,
            plans: serde_json::from_slice(&bytes(PLANS)?)?,
            terms: serde_json::from_slice(&bytes(TERMS)?)?,
            days: serde_json::from_slice(&bytes(DAYS)?)?,
        })
    }

    /// Returns the first documents of the zip with their names, in their order. They need no list of requests.
    ///
    /// # Errors
    /// [`serde_json::Error`] if a document cannot be written.
    pub fn first_files(&self) -> Result<[(&'static str, Vec<u8>); 2], serde_json::Error> {
        Ok([(INVOICE, serde_json::to_vec_pretty(&self.invoice)?), (PLANS, serde_json::to_vec_pretty(&self.plans)?)])
    }

    /// Returns the terms with their name, which follow and list the prices.
    ///
    /// # Errors
    /// [`serde_json::Error`] if the document cannot be written.
    pub fn terms_file(&self) -> Result<(&'static str, Vec<u8>), serde_json::Error> {
        Ok((TERMS, serde_json::to_vec_pretty(&self.terms)?))
    }

    /// Returns the list of days with its name, which follows the requests.
    ///
    /// # Errors
    /// [`serde_json::Error`] if the document cannot be written.
    pub fn days_file(&self) -> Result<(&'static str, Vec<u8>), serde_json::Error> {
        Ok((DAYS, serde_json::to_vec_pretty(&self.days)?))
    }
}
