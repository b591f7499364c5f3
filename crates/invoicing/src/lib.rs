//! The arithmetic of invoices, and the verification of exports and receipts.
//!
//! This crate knows no database and no network, so that other programs can include it. It reads from any seekable source.
//!
//! Reading order: [`rules`], the arithmetic and the state tables; [`receipt`], the documents from which a customer computes an
//! invoice again; [`verification`], the checks of `tollgate verify`.

pub mod receipt;
pub mod rules;
pub mod verification;

pub use verification::{VerificationError, VerifiedFile, verify_file};
