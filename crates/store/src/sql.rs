//! The SQL toolkit of the crates that contain SQL: statements with parameters, transactions, rows, batches, and the
//! differences between SQLite and PostgreSQL.
//!
//! A module declares its SQL texts with [`statements!`](crate::statements); a test of its crate prepares each text on
//! both databases. [`Store::query`](crate::Store::query) and [`Transaction::query`] send a text. [`Texts`] are queries
//! for several rows, and an [`Insert`] writes several rows.

mod batch;
pub(crate) mod dialect;
mod insert;
mod statement;

pub use batch::{ASKED_MAX, Texts, padded};
pub use dialect::{
    Arguments, BulkQuery, BulkRow, BulkTransaction, Cell, Query, READERS, ResultRow, SUBJECT_READERS, SqlType,
    SqlValue, StoreKind, Transaction,
};
pub use insert::{Insert, UsualValue, Values};
pub use statement::{amount, micros, signed, statements, timestamp, unsigned};
