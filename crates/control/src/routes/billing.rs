//! Subscriptions, invoices and payments of users, and the notifications of the payment provider.

pub(super) mod changes;
pub(super) mod close;
pub(super) mod document;
mod enabled;
pub(super) mod export;
pub(super) mod finance;
mod focus;
pub(super) mod invoices;
pub(super) mod lists;
pub(super) mod notification;
pub(super) mod payments;
pub(super) mod periods;
mod posting_rows;
pub(super) mod postings;
pub(super) mod preview;
pub(super) mod profile;
pub(super) mod receipt;
pub(super) mod shadow;
pub(super) mod subscription;
mod tax_rows;
pub(super) mod views;
pub(super) mod wallet;
mod webhook_views;
pub(super) mod webhooks;
