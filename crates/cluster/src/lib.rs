//! The cluster: what nodes that share a store do together, and the loops that connect the store to the rest of the
//! process. It contains the lease server and its client, the answers of the `Directory`, and rate windows in Redis.
//!
//! This is the only crate that speaks Redis. It never decides whether a request may pass (that is `meter`), never speaks
//! HTTP, and never reads the system clock. Rows of usage belong to `ledger`.
//!
//! Read in this order: [`handle`], [`heartbeat`] and [`revision`] (how nodes notice each other and each
//! change), [`lease_server`] (grants parts of budgets) and [`leases`] (requests them), [`directory`] (answers look-ups of
//! keys) with [`counting`], [`decrypted_credentials`] and [`shared_credentials`], [`subject_budgets`] (budgets of clients without a user), [`job_claims`] (the node that runs a job), [`last_use`], and [`windows`] (rate limits, in Redis or in
//! process, and shared responses). A test of `statements` prepares every SQL text.

pub mod counting;
pub mod decrypted_credentials;
pub mod directory;
#[cfg(test)]
#[path = "../../store/src/fixture.rs"]
#[allow(dead_code, reason = "each crate with SQL uses a part of the fixture")]
mod fixture;
pub mod handle;
pub mod heartbeat;
pub mod job_claims;
pub mod last_use;
pub mod lease_server;
pub mod leases;
pub mod revision;
pub mod shared_credentials;
#[cfg(test)]
mod statements;
pub mod subject_budgets;
#[cfg(test)]
#[path = "../../ledger/src/usage_fixture.rs"]
#[allow(dead_code, reason = "the tests of leases use a part of the fixture")]
mod usage_fixture;
pub mod windows;

pub use counting::Counting;
pub use decrypted_credentials::DecryptedCredentials;
pub use handle::Cluster;
pub use job_claims::{JobClaims, JobRecord, LastRun};
pub use lease_server::LeaseError;
pub use lease_server::reclaim::OpenLease;
pub use lease_server::unreported::UnreportedLease;
pub use leases::{LeaseLoopOptions, LeaseStats, Leases};
