//! The store: the rows of users, keys, plans, budgets, sessions and nodes, the migrations that create all tables, and
//! the SQL toolkit of the crates that contain SQL.
//!
//! SQL exists in this crate, in `ledger` (usage) and in `cluster` (leases and the directory) only. The store never
//! decides whether a request may pass (that is `meter`), never speaks HTTP, and never reads the system clock.
//!
//! Read in this order: [`opening`], [`sql`] (statements, transactions, and the differences between SQLite and PostgreSQL),
//! [`accounts`], [`keys`], [`plans`], [`limits`], [`identity`] (look-up of a key by its hash), [`sealed`], [`audit`],
//! [`configurations`], [`revision`], [`cache_purges`] and [`nodes`]. Then [`copies`]. A test of `sql::statement` prepares every SQL
//! text, except migrations, connection settings, and statements on a backup's own table.

// Files of the test fixture name this crate as other crates do.
#[cfg(test)]
extern crate self as store;

pub mod accounts;
pub mod audit;
pub mod cache_purges;
pub mod columns;
pub mod configurations;
pub mod copies;
pub mod error;
#[cfg(test)]
#[allow(dead_code, reason = "each crate with SQL uses a part of the fixture")]
mod fixture;
pub mod identity;
pub mod keys;
pub mod limits;
pub mod nodes;
pub mod open_error;
pub mod opening;
pub mod plans;
pub mod revision;
pub mod sealed;
pub mod sql;

pub use accounts::grants::{GRANTS_MAX, RoleGrant};
pub use accounts::links::{AdminExists, Link, LinkError, NewLink, Purpose, RedeemError, RedeemedPassword};
pub use accounts::session_end::CredentialGone;
pub use accounts::sessions::{
    InvalidSession, NewRefresh, NewSession, RefreshResult, Session, SessionCredential, SessionError, SessionKey,
    SessionState,
};
pub use accounts::users::change::{UserAccess, UserChange, suspension_end};
pub use accounts::users::password::{PasswordChange, PasswordChangeError};
pub use accounts::users::{Email, NewUser, NoUser, User, UserError, UserRef};
pub use audit::{AUDIT_PAGE_MAX, Act, Actor, ActorKind, AuditAction, AuditFilter, AuditLine, AuditPage, AuditPlace};
pub use cache_purges::{CACHE_PURGES_MAX, StoredPurge};
pub use configurations::{
    CONFIGURATIONS_MAX, ConfigurationError, ConfigurationSource, NewConfiguration, StoredConfiguration,
};
pub use copies::backup::{BackupError, Census};
pub use copies::copy::CopyError;
pub use error::{DatabaseError, InvalidText, TEXT_CHARS_MAX, is_fit_text};
pub use identity::{Identity, IdentityKey, IdentityUser};
pub use keys::api_keys::bound::{BoundCount, BoundKeys};
pub use keys::api_keys::change::{KeyChange, Rotation};
pub use keys::api_keys::everybody::{KeyFilter, KeyPage, OwnedKey, OwnedKeyState};
pub use keys::api_keys::repeated::{REPEATABLE_MAX, RepeatableRequest};
pub use keys::api_keys::{
    KEYS_MAX, KEYS_PAGE_MAX, Key, KeyError, KeyPageQuery, KeyRef, KeySecret, NewKey, NoKey, PreviousSecret,
};
pub use limits::budgets::{BUDGETS_MAX, BudgetError, BudgetHolder, EVERYBODY, StoredBudget};
pub use limits::charges::Charges;
pub use limits::scope_ids::{ScopeIds, StoredSubject};
pub use nodes::backlog::{Backlog, BacklogError, GatheredCharges};
pub use nodes::forgotten_nodes::{ForgetNodeError, SEEN_WITHIN};
pub use nodes::node::{CopiedFolder, JoinError, Node, NodeError, NodeProgress, SpooledUsage};
pub use open_error::{FolderError, NewerDatabase, OpenError};
pub use opening::handle::Store;
pub use opening::migration::UndoError;
pub use opening::options::Options;
pub use opening::running_servers::RunningServers;
pub use plans::{NoPlan, PLANS_MAX, PlanChange, PlanDifference, PlanDifferences, PlanError, StoredPlan};
pub use sealed::provider_keys::{
    NewProviderKey, PROVIDER_KEYS_MAX, ProviderKeyChange, ProviderKeyError, StoredProviderKey,
};
pub use sealed::signing_keys::{StoreSigningKeyError, StoredSigningKey};
pub use sealed::vault::{
    AdmittedMasterKey, KnownMasterKey, MasterKeyError, ResealError, ResealResult, RetiredMasterKey, SealingError,
};
