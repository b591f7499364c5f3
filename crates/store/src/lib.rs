//! The store: SQL and Redis. It contains users, keys, plans and usage, the migrations, and the loops that connect them
//! to the rest of the process.
//!
//! This is the only crate that knows SQL and Redis. It never decides whether a request may pass (that is `meter`),
//! never speaks HTTP, and never reads the system clock.
//!
//! Read in this order: [`store`] (the handle), [`users`], [`api_keys`], [`plans`], [`budgets`], [`identity`] (look-up
//! of a key by its hash), [`sessions`], [`links`], [`subjects`] (public ids for row numbers), [`usage`] (totals and
//! requests), [`reconcile`] (the audit of usage). Then read the loops: [`directory`], [`revision`], [`node`],
//! [`ingest`], [`retention`], and [`windows`] (rate limits, in Redis or in process). `dialect` contains the differences
//! between SQLite and PostgreSQL, and [`migration`] creates the tables. A test of `statement` prepares every SQL text,
//! except migrations, connection settings, and statements on a backup's own table.

pub mod api_keys;
pub mod audit;
pub mod backup;
mod batch;
mod batch_sizer;
pub mod budgets;
pub mod copy;
mod counting;
pub mod decrypted_credentials;
mod dialect;
pub mod directory;
pub mod error;
#[cfg(test)]
mod fixture;
pub mod identity;
pub mod ingest;
pub mod last_use;
pub mod lease_server;
pub mod leases;
pub mod links;
pub mod migration;
pub mod node;
mod outage;
pub mod plans;
pub mod provider_keys;
pub mod reconcile;
pub mod retention;
pub mod revision;
pub mod sessions;
mod statement;
pub mod store;
pub mod subjects;
pub mod usage;
pub mod users;
pub mod vault;
pub mod windows;

pub use api_keys::bound::{Bound, BoundKeys};
pub use api_keys::change::{KeyChange, Rotation};
pub use api_keys::{KEYS_MAX, KEYS_PAGE_MAX, Key, KeyPageQuery, KeyRef, KeySecret, NewKey, PreviousSecret};
pub use audit::{AUDIT_PAGE_MAX, Action, Actor, AuditFilter, AuditLine, AuditPage, AuditPlace, By};
pub use backup::Census;
pub use budgets::{BUDGETS_MAX, BudgetHolder, EVERYBODY, StoredBudget};
pub use counting::Counting;
pub use decrypted_credentials::DecryptedCredentials;
pub use error::{StoreError, TEXT_CHARS_MAX, is_fit_text};
pub use identity::{Identity, IdentityKey, IdentityUser};
pub use ingest::{Backlog, GatheredCharges, IngestError, IngestStats};
pub use lease_server::stranded::OpenLease;
pub use lease_server::unreported::UnreportedLease;
pub use leases::{LeaseLoopOptions, LeaseStats};
pub use links::{Link, NewLink, Purpose};
pub use node::Node;
pub use plans::{PLANS_MAX, PlanChange, PlanDifference, PlanDifferences, StoredPlan};
pub use provider_keys::{NewProviderKey, PROVIDER_KEYS_MAX, ProviderKeyChange, StoredProviderKey};
pub use reconcile::{
    DIFFERENCES_MAX, Days, Difference, InterruptedRequests, OpenRequests, Place, Reconciliation, RecordedUsage,
    RepairedTotals, UnleasedUsage, UnpricedRequests,
};
pub use retention::RetentionStats;
pub use sessions::{
    Credential, InvalidSession, NewRefresh, NewSession, RefreshResult, Session, SessionKey, SessionState,
};
pub use store::{Options, Store};
pub use subjects::SubjectIds;
pub use usage::{
    Charges, DayUsage, KeyUsage, Overview, OverviewKey, OverviewModel, REQUESTS_LOOKED_AT_MAX, REQUESTS_PAGE_MAX,
    RequestAttempt, RequestFilter, RequestKey, RequestLine, RequestPage, RequestPlace, UsageTotals,
};
pub use users::change::UserChange;
pub use users::password::PasswordChange;
pub use users::{Email, NewUser, User, UserRef};
pub use vault::{AdmittedMasterKey, KnownMasterKey, ResealResult};
