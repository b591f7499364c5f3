//! The cache of responses of a route.

use std::time::Duration;

use access::exchange::shared_responses::ResponseScope;

/// The rules of the cache of a route.
#[derive(Debug, PartialEq, Eq)]
pub struct CacheRules {
    /// The lifetime of responses without one.
    pub ttl: Option<Duration>,
    /// The names of request headers whose values distinguish responses, in lowercase.
    pub vary: Box<[Box<str>]>,
    /// The maximum memory of the route's responses, in bytes; the largest one is that of all routes together. Default 64 MiB.
    pub bytes_max: u64,
    /// The maximum content of a stored response, in bytes. Default 1 MiB.
    pub entry_bytes_max: u64,
    /// Whether all clients share the responses. Default false.
    pub shared: bool,
    /// The name of the response header that lists the tags of a response, in lowercase.
    pub tags: Option<Box<str>>,
    /// The configuration under which nodes share the responses through Redis; `None` if they do not.
    pub shared_scope: Option<ResponseScope>,
}
