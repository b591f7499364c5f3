//! The removal of stored responses, which the admin API requests and the proxy does.

/// The stored responses that are removed or marked stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachePurge {
    /// The responses that the purge concerns.
    pub target: PurgeTarget,
    /// Whether they are marked stale, and not removed.
    pub soft: bool,
}

/// What the responses of a purge have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurgeTarget {
    /// The URL, for every client: `https://api.example.com/catalog?page=2`.
    Url(String),
    /// The beginning of the URL.
    Prefix(String),
    /// A tag that the upstream gave them.
    Tag(String),
}
