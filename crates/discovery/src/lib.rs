//! State of other services that Tollgate follows: today, the keys that issuers of access tokens publish.
//!
//! A job fetches it in the background. No request waits for a fetch, and the last valid state is used while a service is
//! unavailable. The crate never connects to link-local addresses unless the configuration permits it, and follows no
//! redirect.
//!
//! Read in this order: [`issuer_keys`] (the job), `schedule` (the time of the next fetch), `metadata` (OpenID Connect
//! Discovery), [`fetch`] (one document over HTTP), `address` (the addresses of a host).

mod address;
pub mod error;
pub mod fetch;
pub mod issuer_keys;
mod max_age;
mod metadata;
mod schedule;

pub use error::FetchError;
pub use fetch::Fetcher;
pub use issuer_keys::{FetchedSource, IssuerKeyRefresh, Observation, SPEC};
