//! Billing: subscriptions, invoices, postings and payments.
//!
//! The crate contains no SQL: its rows are read and written by `ledger::billing`. It never reads the system clock.
//!
//! Read in this order: [`rules`], the arithmetic and the state tables, without I/O and clock; [`channel`] and
//! [`midtrans`], the payment provider; [`settings`]; [`books`], what changes together: subscriptions, invoices, payments;
//! [`receipt`], what a customer checks; [`close`] and [`collect`], the background jobs; [`mail`], what customers are sent,
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
pub mod receipt;
pub mod rules;
pub mod settings;
pub mod webhook;

pub use books::{BillingError, Books};
pub use prices::PriceBook;
pub use settings::BillingSettings;
