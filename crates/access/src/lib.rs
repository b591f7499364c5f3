//! Who the caller is, as plain data, and the words every layer shares.
//!
//! Never does: I/O, SQL, HTTP. Of Tokio it uses `sync` alone.
//!
//! Read in this order: [`id`], [`amount`], [`clock`], [`refusal`]; then [`api_key`], [`plan`], [`user`],
//! [`principal`], and [`directory`], which turns the hash of a key into a [`Principal`].

pub mod amount;
pub mod api_key;
mod cache;
pub mod clock;
pub mod directory;
pub mod id;
pub mod plan;
pub mod principal;
pub mod refusal;
pub mod revision;
pub mod secret;
pub mod user;

pub use amount::{Credits, NanoUsd};
pub use api_key::{ApiKey, KeyHash};
pub use clock::{Clock, Day, Mono, Timestamp};
pub use directory::{Directory, Found, Lookup, NotFound};
pub use id::{Ids, KeyId, KeyNo, PlanId, RequestId, UserId, UserNo};
pub use plan::Plan;
pub use principal::Principal;
pub use refusal::Refusal;
pub use revision::Revision;
pub use secret::Secret;
pub use user::UserStatus;
