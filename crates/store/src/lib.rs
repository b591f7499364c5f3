//! The store: the rows of users, keys, plans, budgets, sessions and nodes, the migrations that create all tables, and
//! the SQL toolkit of the crates that contain SQL.
//!
//! SQL exists in this crate, in `ledger` (usage) and in `cluster` (leases and the directory) only. The store never
//! decides whether a request may pass (that is `meter`), never speaks HTTP, and never reads the system clock.
//!
//! Read in this order: [`handle`], [`sql`] (statements, transactions, and the differences between SQLite and
//! PostgreSQL), [`users`], [`api_keys`], [`plans`], [`budgets`], [`identity`] (look-up of a key by its hash),
//! [`grants`], [`sessions`], [`links`], [`provider_keys`], [`signing_keys`] and [`vault`], [`scope_ids`] (public ids and names of scopes), [`audit`],
//! [`configurations`], [`revision`], [`cache_purges`], [`node`] with its [`backlog`], [`forgotten_nodes`], and [`charges`] (what the daily totals contain for budgets). Then
//! [`migration`], [`copy`] and [`backup`]. A test of `sql::statement` prepares every SQL text, except migrations,
//! connection settings, and statements on a backup's own table.

// Files of the test fixture name this crate as other crates do.
#[cfg(test)]
extern crate self as store;

pub mod api_keys;
pub mod audit;
pub mod backlog;
pub mod backup;
mod bounds_row;
pub mod budget_period;
pub mod budgets;
pub mod cache_purges;
pub mod charges;
pub mod configurations;
pub mod copy;
mod data_folder;
pub mod error;
#[cfg(test)]
#[allow(dead_code, reason = "each crate with SQL uses a part of the fixture")]
mod fixture;
pub mod forgotten_nodes;
pub mod grants;
pub mod handle;
pub mod identity;
mod labels;
pub mod links;
pub mod migration;
pub mod node;
pub mod open_error;
pub mod options;
mod password_links;
pub mod plans;
pub mod provider_keys;
pub mod revision;
pub mod running_servers;
mod session_end;
pub mod sessions;
pub mod signing_keys;
pub mod sql;

pub mod scope_ids;
pub mod users;
pub mod vault;

pub use api_keys::bound::{BoundCount, BoundKeys};
pub use api_keys::change::{KeyChange, Rotation};
pub use api_keys::repeated::{REPEATABLE_MAX, RepeatableRequest};
pub use api_keys::{
    KEYS_MAX, KEYS_PAGE_MAX, Key, KeyError, KeyPageQuery, KeyRef, KeySecret, NewKey, NoKey, PreviousSecret,
};
pub use audit::{AUDIT_PAGE_MAX, Act, Actor, AuditAction, AuditFilter, AuditLine, AuditPage, AuditPlace, By};
pub use backlog::{Backlog, BacklogError, GatheredCharges};
pub use backup::{BackupError, Census};
pub use budgets::{BUDGETS_MAX, BudgetError, BudgetHolder, EVERYBODY, StoredBudget};
pub use cache_purges::{CACHE_PURGES_MAX, StoredPurge};
pub use charges::Charges;
pub use configurations::{
    CONFIGURATIONS_MAX, ConfigurationError, ConfigurationSource, NewConfiguration, StoredConfiguration,
};
pub use copy::CopyError;
pub use error::{DatabaseError, InvalidText, TEXT_CHARS_MAX, is_fit_text};
pub use forgotten_nodes::{ForgetNodeError, SEEN_WITHIN};
pub use grants::{GRANTS_MAX, RoleGrant};
pub use handle::Store;
pub use identity::{Identity, IdentityKey, IdentityUser};
pub use links::{AdminExists, Link, LinkError, NewLink, Purpose, RedeemError, RedeemedPassword};
pub use migration::UndoError;
pub use node::{JoinError, Node, NodeError, NodeProgress, SpooledUsage, Superseded};
pub use open_error::{FolderError, NewerDatabase, OpenError};
pub use options::Options;
pub use plans::{NoPlan, PLANS_MAX, PlanChange, PlanDifference, PlanDifferences, PlanError, StoredPlan};
pub use provider_keys::{NewProviderKey, PROVIDER_KEYS_MAX, ProviderKeyChange, ProviderKeyError, StoredProviderKey};
pub use running_servers::RunningServers;
pub use scope_ids::{ScopeIds, StoredSubject};
pub use session_end::CredentialGone;
pub use sessions::{
    InvalidSession, NewRefresh, NewSession, RefreshResult, Session, SessionCredential, SessionError, SessionKey,
    SessionState,
};
pub use signing_keys::{StoreSigningKeyError, StoredSigningKey};
pub use users::change::{UserAccess, UserChange, suspension_end};
pub use users::password::{PasswordChange, PasswordChangeError};
pub use users::{Email, NewUser, NoUser, User, UserError, UserRef};
pub use vault::{
    AdmittedMasterKey, KnownMasterKey, MasterKeyError, ResealError, ResealResult, RetiredMasterKey, SealingError,
};
