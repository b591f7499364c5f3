//! Rows in, rows out: users, keys, plans and usage; migrations; and the loops between them and the rest.
//!
//! The only crate that knows SQL and Redis. Never does: decide who may pass (that is `meter`), speak HTTP, read a clock of its own.
//!
//! Read in this order: [`store`] (the handle), [`users`], [`api_keys`], [`plans`], [`budgets`], [`identity`] (what a key's hash says),
//! [`sessions`], [`links`], [`subjects`] (public ids for row numbers), [`usage`] (totals and requests), [`reconcile`] (whether it all adds up); then the loops: [`directory`], [`revision`], [`node`], [`ingest`], [`retention`], and [`windows`] (rate limits, in Redis
//! or in process). What differs between
//! SQLite and PostgreSQL stands in `dialect`, and [`migration`] makes the tables. Every SQL text is prepared by a test of
//! `statement`, but for migrations, settings of a connection, and what only a backup's own table takes.

pub mod api_keys;
pub mod audit;
pub mod backup;
mod batch;
pub mod budgets;
pub mod copy;
mod counting;
mod dialect;
pub mod directory;
pub mod error;
#[cfg(test)]
mod fixture;
pub mod identity;
pub mod ingest;
pub mod last_use;
pub mod leases;
pub mod lender;
pub mod links;
pub mod migration;
pub mod node;
mod outage;
mod pace;
pub mod plans;
pub mod provider_keys;
pub mod reconcile;
pub mod retention;
pub mod revision;
pub mod sessions;
mod statement;
pub mod store;
pub mod subjects;
pub mod unsealed;
pub mod usage;
pub mod users;
pub mod vault;
pub mod windows;

pub use api_keys::bound::{Bound, BoundKeys};
pub use api_keys::change::{KeyChange, Rotation};
pub use api_keys::{KEYS_MAX, KEYS_PAGE_MAX, Key, KeyRef, KeySecret, KeysAsked, NewKey, PreviousSecret};
pub use audit::{AUDIT_PAGE_MAX, Action, Actor, AuditFilter, AuditLine, AuditPage, AuditPlace, By};
pub use backup::Census;
pub use budgets::{BUDGETS_MAX, BudgetHolder, EVERYBODY, StoredBudget};
pub use counting::Counting;
pub use error::{StoreError, TEXT_CHARS_MAX, is_fit_text};
pub use identity::{Identity, IdentityKey, IdentityUser};
pub use ingest::{Backlog, Gathered, IngestError, IngestStats};
pub use leases::{LeaseStats, Leasing};
pub use lender::stranded::OpenLease;
pub use lender::untold::Untold;
pub use links::{Link, NewLink, Purpose};
pub use node::Node;
pub use plans::{PLANS_MAX, PlanChange, PlanDifference, PlanDifferences, StoredPlan};
pub use provider_keys::{NewProviderKey, PROVIDER_KEYS_MAX, ProviderKeyChange, StoredProviderKey};
pub use reconcile::{
    DIFFERENCES_MAX, Days, Difference, Interrupted, Mended, OpenRequests, Place, Reconciliation, Recorded, Unleased,
    Unpriced,
};
pub use retention::RetentionStats;
pub use sessions::{Credential, NewRefresh, NewSession, Refreshed, Session, SessionKey, SessionState, Shut};
pub use store::{Options, Store};
pub use subjects::SubjectIds;
pub use unsealed::Unsealed;
pub use usage::{
    Charges, DayUsage, KeyUsage, Overview, OverviewKey, OverviewModel, REQUESTS_LOOKED_AT_MAX, REQUESTS_PAGE_MAX,
    RequestAttempt, RequestFilter, RequestKey, RequestLine, RequestPage, RequestPlace, Totals,
};
pub use users::change::UserChange;
pub use users::password::PasswordChange;
pub use users::{Email, NewUser, User, UserRef};
pub use vault::{Admitted, KnownMasterKey, Resealed};
