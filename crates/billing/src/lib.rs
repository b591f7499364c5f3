//! Billing: subscriptions, invoices, postings and payments.
//!
//! The crate contains no SQL: its rows are read and written by `ledger::billing`. It never reads the system clock.
//!
//! Read in this order: `invoicing`, the arithmetic and the state tables, without I/O and clock; [`channel`] and
//! [`midtrans`], the payment provider; [`settings`]; [`books`], what changes together: subscriptions, invoices, payments; [`LiveBooks`], the books in force;
//! [`close`] and [`collect`], the background jobs; [`mail`], what customers are sent,
//! in each [`language`]; [`webhook`], what other systems are sent.

pub mod books;
pub mod channel;
pub mod close;
pub mod collect;
pub mod document;
pub mod language;
pub mod mail;
mod markup;
pub mod midtrans;
mod pauses;
pub mod prices;
mod receipt_rows;
pub mod settings;
pub mod signoff_roles;
mod stored_line;
pub mod webhook;

pub use books::{BillingError, Books, LiveBooks};
// The arithmetic of invoices, without I/O.
pub use invoicing::{receipt, rules};
pub use prices::PriceBook;
pub use settings::{BillingSettings, InvoiceReview};
pub use signoff_roles::SignoffRoles;
