//! State of other services that Tollgate follows: the keys that issuers of access tokens publish, the health of backends, and
//! the members of upstreams.
//!
//! A job for each fetches it in the background. No request waits for a fetch, and the last valid state is used while a
//! service is unavailable. The crate never connects to link-local addresses unless the configuration permits it, and follows no
//! redirect.
//!
//! Read in this order: [`issuer_keys`] (the job), `schedule` (the time of the next fetch), `metadata` (OpenID Connect
//! Discovery), [`fetch`] (one document over HTTP), `address` (the addresses of a host), [`health`] (checks of backends),
//! [`members`] (the members of upstreams).

mod address;
pub mod error;
pub mod fetch;
pub mod health;
pub mod issuer_keys;
mod max_age;
pub mod members;
mod metadata;
mod schedule;

pub use error::FetchError;
pub use fetch::Fetcher;
pub use health::{CheckRules, Checked, CheckedBackend, CheckedEndpoint, CheckedScheme, HealthChecks, Probe};
pub use issuer_keys::{FetchedSource, IssuerKeyRefresh, Observation, SPEC};
pub use members::{
    FollowedList, FollowedName, FollowedPlace, FollowedPrefix, FollowedService, FollowedSource, FoundMember,
    MemberFollowing, MemberRefresh, SourceError, SourceServers, SourceUrl,
};
