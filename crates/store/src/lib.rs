//! Rows in, rows out: users, keys, plans and usage; migrations; and the loops between them and the rest.
//!
//! The only crate that knows SQL. Never does: decide who may pass (that is `meter`), speak HTTP, read a clock of its own.
//!
//! Read in this order: [`store`] (the handle), [`users`], [`api_keys`], [`plans`], [`identity`] (what a key's hash says),
//! [`usage`] (totals of a day); then the loops: [`directory`], [`revision`], [`ingest`]. What differs between databases
//! stands in `dialect`; every SQL text is listed in `statement`.

pub mod api_keys;
mod dialect;
pub mod directory;
pub mod error;
pub mod identity;
pub mod ingest;
mod migration;
mod outage;
pub mod plans;
pub mod revision;
mod statement;
pub mod store;
pub mod usage;
pub mod users;

pub use api_keys::{Key, NewKey};
pub use error::{StoreError, TEXT_CHARS_MAX};
pub use identity::{Identity, IdentityKey, IdentityUser};
pub use ingest::{IngestError, IngestStats};
pub use plans::PlanDifference;
pub use store::{Options, Store};
pub use usage::{DayUsage, KeyUsage, Totals};
pub use users::{Email, NewUser, User, UserRef};
