//! Principals, keys, plans and budgets as plain data, and the types that every layer shares.
//!
//! This crate performs no I/O, SQL or HTTP. It uses only the module `sync` of Tokio.
//!
//! Read in this order: [`id`], [`amount`], [`usd`], [`text`], [`clock`], [`refusal`]; then [`api_key`], [`plan`],
//! [`budget`], [`user`], [`subject`], [`subject_id`], [`labels`], [`principal`], [`vault`], and [`directory`], which maps the hash of a key to a [`Principal`];
//! [`password`], [`token`] and [`ticket`] for sessions; [`jwt`] for access tokens of other issuers, and [`issuer`] for the keys that these publish; [`key_list`] for keys and [`basic`] for users in the configuration; [`redis_key`] for keys in Redis; [`shared_responses`] for stored responses in Redis; [`signature`] for signed files; [`address`] for client
//! addresses; [`limits`] for rate limits that nodes share; [`subject_budgets`] for the budgets of clients without a user; [`upstream_credentials`] for credentials in headers of routes; [`service_account`] for keys of Google Cloud; [`object_owner`] for ids of objects in the operator's account.

pub mod address;
pub mod amount;
pub mod api_key;
pub mod basic;
pub mod bounds;
pub mod budget;
mod cache;
pub mod client_program;
pub mod clock;
pub mod directory;
pub mod id;
pub mod issuer;
pub mod jwt;
pub mod key_clients;
pub mod key_list;
pub mod labels;
pub mod limits;
pub mod money;
pub mod object_owner;
pub mod outbound;
pub mod password;
pub mod plan;
pub mod plan_price;
pub mod principal;
pub mod provider_key;
pub mod redis_key;
pub mod refusal;
pub mod revision;
pub mod secret;
pub mod series_form;
pub mod service_account;
pub mod shared_responses;
pub mod signature;
pub mod subject;
pub mod subject_budgets;
pub mod subject_id;
pub mod text;
pub mod ticket;
pub mod time_zone;
pub mod token;
pub mod upstream_credentials;
pub mod usd;
pub mod user;
pub mod vault;

pub use amount::{Amount, Credits, NanoUsd, Tokens};
pub use api_key::{ApiKey, KeyHash, contains_key, is_key};
pub use bounds::{ControlScope, KeyBounds};
pub use budget::{Budget, BudgetId, BudgetScope, Measure, Per};
pub use client_program::ClientProgram;
pub use clock::{CivilDate, Clock, ClockLeaps, Day, Mono, Timestamp};
pub use directory::{Directory, Lookup, LookupResult, NotFound};
pub use id::{
    AuditId, Ids, KeyId, KeyNo, LinkId, PlanId, ProviderKeyId, RequestId, SessionId, TokenId, UserId, UserNo,
};
pub use labels::{LabelId, LabelSet};
pub use money::{Currency, Money, UnitPrice};
pub use object_owner::{IdOwner, ObjectKeys, ObjectOwner};
pub use plan::Plan;
pub use plan_price::{BillingInterval, ChargeMetric, ChargeModel, ChargeTier, PlanCharge, PlanPrice};
pub use principal::{Last4, Principal};
pub use provider_key::{ProviderKey, ProviderKeys};
pub use refusal::Refusal;
pub use revision::Revision;
pub use secret::Secret;
pub use series_form::SeriesForm;
pub use service_account::{ServiceAccount, ServiceAccountError};
pub use signature::PublicKey;
pub use subject::{Caller, Subject, SubjectKind, SubjectName, SubjectText};
pub use subject_id::SubjectId;
pub use ticket::{Ticket, TicketHash};
pub use time_zone::TimeZone;
pub use upstream_credentials::UpstreamCredentials;
pub use user::{Role, UserStatus};
pub use vault::{Fingerprint, MasterKey, SealedCredential, Vault, VaultError};
