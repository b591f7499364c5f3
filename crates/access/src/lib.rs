//! Principals, keys, plans and budgets as plain data, and the types that every layer shares.
//!
//! This crate performs no I/O, SQL or HTTP. It uses only the module `sync` of Tokio.
//!
//! Read in this order: [`id`], [`amounts`], [`text`], [`time`] and [`refusal`]; then [`people`], [`credentials`], [`limits`] and
//! [`principal`]; [`exchange::directory`], which maps the hash of a key to a [`Principal`], and the rest of [`exchange`], which nodes
//! share; [`network`] for addresses; [`only()`] for values that may be present once.

pub mod amounts;
mod cache;
pub mod credentials;
pub mod exchange;
pub mod id;
pub mod limits;
pub mod network;
mod only;
pub mod people;
pub mod principal;
pub mod refusal;
pub mod text;
pub mod time;

pub use amounts::amount::{Amount, Credits, NanoUsd, Tokens};
pub use amounts::money::{Currency, Money, UnitPrice};
pub use amounts::plan_price::{BillingInterval, ChargeMetric, ChargeModel, ChargeTier, PlanCharge, PlanPrice};
pub use amounts::series_form::SeriesForm;
pub use credentials::api_key::{ApiKey, KeyHash, contains_key, is_key};
pub use credentials::object_owner::{IdOwner, ObjectKeys, ObjectOwner};
pub use credentials::provider_key::{ProviderKey, ProviderKeys};
pub use credentials::secret::Secret;
pub use credentials::service_account::{ServiceAccount, ServiceAccountError};
pub use credentials::signature::PublicKey;
pub use credentials::ticket::{Ticket, TicketHash};
pub use credentials::upstream_credentials::UpstreamCredentials;
pub use credentials::vault::{Fingerprint, MasterKey, SealedCredential, Vault, VaultError};
pub use exchange::directory::{Directory, Lookup, LookupResult, NotFound};
pub use exchange::revision::Revision;
pub use id::{
    AuditId, Ids, KeyId, KeyNo, LinkId, PlanId, ProviderKeyId, RequestId, SessionId, TokenId, UserId, UserNo,
};
pub use limits::bounds::{ControlScope, KeyBounds};
pub use limits::budget::{Budget, BudgetId, BudgetScope, LimitPeriod, Measure};
pub use limits::plan::Plan;
pub use limits::quota_name::QuotaName;
pub use limits::subscription_window::{AnniversaryLength, SubscriptionDates, SubscriptionPeriod};
pub use limits::window::{BudgetWindow, CalendarUnit, WeekStart, Zone};
pub use network::client_program::ClientProgram;
pub use only::only;
pub use people::labels::{LabelId, LabelSet};
pub use people::subject::{Caller, Subject, SubjectKind, SubjectName, SubjectText};
pub use people::subject_id::SubjectId;
pub use people::user::{Role, UserStatus};
pub use principal::{Last4, Principal};
pub use refusal::Refusal;
pub use time::clock::{CivilDate, Clock, ClockLeaps, Day, Minute, Mono, Timestamp};
pub use time::time_zone::TimeZone;
