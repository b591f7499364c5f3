//! Receipts: the documents from which a customer can compute an invoice again, without the server.
//!
//! The documents contain nothing that changes after the invoice was opened, so a receipt that is requested later has the same
//! bytes. Read in this order: [`document`], [`row`] (one request, and sums of requests),
//! [`priced`] (the cost of a request), [`check`].

pub mod check;
mod check_error;
pub mod document;
mod price_check;
pub mod priced;
pub mod row;

pub use check::ReceiptCheck;
pub use check_error::ReceiptDifference;
pub use document::{ListedDay, PlanVersionDocument, ReceiptDocuments, ReceiptInvoice};
pub use row::{ReceiptRow, ReceiptSums};
