//! Who the caller is, as plain data, and the words every layer shares.
//!
//! Never does: I/O, SQL, HTTP. Of Tokio it uses `sync` alone.
//!
//! Read in this order: [`id`], [`amount`], [`usd`], [`text`], [`clock`], [`refusal`]; then [`api_key`], [`plan`], [`budget`], [`user`],
//! [`principal`], [`vault`], and [`directory`], which turns the hash of a key into a [`Principal`];
//! [`password`], [`token`] and [`ticket`] for who signs in; [`signature`] verifies signed files; [`address`] says where a request comes from, [`limits`] asks what all nodes count together.

pub mod address;
pub mod amount;
pub mod api_key;
pub mod bounds;
pub mod budget;
mod cache;
pub mod clock;
pub mod directory;
pub mod id;
pub mod limits;
pub mod password;
pub mod plan;
pub mod principal;
pub mod provider_key;
pub mod refusal;
pub mod revision;
pub mod secret;
pub mod signature;
pub mod text;
pub mod ticket;
pub mod token;
pub mod usd;
pub mod user;
pub mod vault;

pub use amount::{Credits, NanoUsd};
pub use api_key::{ApiKey, KeyHash};
pub use bounds::KeyBounds;
pub use budget::{Budget, BudgetId, Measure, Per, Subject};
pub use clock::{Clock, Day, Mono, Timestamp};
pub use directory::{Directory, Found, Lookup, NotFound};
pub use id::{
    AuditId, Ids, KeyId, KeyNo, LinkId, PlanId, ProviderKeyId, RequestId, SessionId, TokenId, UserId, UserNo,
};
pub use plan::Plan;
pub use principal::{Last4, Principal};
pub use provider_key::{ProviderKey, ProviderKeys};
pub use refusal::Refusal;
pub use revision::Revision;
pub use secret::Secret;
pub use signature::PublicKey;
pub use ticket::{Ticket, TicketHash};
pub use user::{Role, UserStatus};
pub use vault::{Fingerprint, MasterKey, Sealed, Vault, VaultError};
