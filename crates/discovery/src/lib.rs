//! State of other services that Tollgate follows: the keys that issuers of access tokens publish, the health of backends, the
//! members of upstreams, and the configuration in a key of etcd.
//!
//! A job for each fetches it in the background. No request waits for a fetch, and the last valid state is used while a
//! service is unavailable. The crate never connects to link-local addresses unless the configuration permits it, and follows no
//! redirect.
//!
//! Read in this order: [`issuer_keys`] (the job), `schedule` (the time of the next fetch), `metadata` (OpenID Connect
//! Discovery), [`fetch`] (one document over HTTP), `address` (the addresses of a host), [`health`] (checks of backends),
//! [`members`] (the members of upstreams), [`followed_key`] (one key of etcd), `etcd` (the client of both), `server` (a request
//! to a server of a source).

mod address;
pub mod error;
mod etcd;
pub mod fetch;
pub mod followed_key;
pub mod health;
pub mod issuer_keys;
mod max_age;
pub mod members;
mod metadata;
mod schedule;
mod server;
mod source_error;

pub use error::FetchError;
pub use etcd::EtcdCluster;
pub use fetch::Fetcher;
pub use followed_key::{FollowedKey, KeyContent, KeyFollower, KeyState};
pub use health::{CheckResult, CheckRules, CheckedBackend, CheckedEndpoint, CheckedScheme, HealthChecks, Probe};
pub use issuer_keys::{FetchedSource, IssuerKeyRefresh, Observation, SPEC};
pub use members::{
    FollowedList, FollowedName, FollowedPlace, FollowedPrefix, FollowedService, FollowedSource, FoundMember,
    MemberFollowing, MemberRefresh,
};
pub use server::{SourceServers, SourceUrl};
pub use source_error::SourceError;
