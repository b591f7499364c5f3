//! The rules of billing as functions over plain data. They do no I/O and read no clock.
//!
//! Read in this order: [`rounding`], [`period`], [`proration`], [`tax`], [`usage`] (the charges of a period),
//! [`invoice`] (lines and totals), [`plan_change`], [`credit_note`], [`terms`] (what an invoice was computed from),
//! [`posting`] (double entry), and the state tables [`subscription`], [`invoice_state`] and [`payment`].

pub mod credit_note;
pub mod exchange;
pub mod invoice;
pub mod invoice_kind;
pub mod invoice_state;
pub(crate) mod iso_day;
pub mod mail_kind;
pub mod payment;
pub mod period;
pub mod plan_change;
pub mod posting;
pub mod proration;
pub mod refund_state;
pub mod rounding;
pub mod subscription;
pub mod tax;
pub mod terms;
pub mod usage;
pub mod webhook_event;

/// The version of the arithmetic, which each invoice records.
pub const RULES_VERSION: i64 = 1;
