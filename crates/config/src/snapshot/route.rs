//! Routes of ordinary APIs.

use std::sync::Arc;

use access::Credits;

use super::upstream::Upstream;

/// One entry of `routes`.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name; defaults to the path.
    pub name: Arc<str>,
    /// The paths that it matches.
    pub path: PathMatch,
    /// The methods that it accepts, uppercase; empty means all.
    pub methods: Vec<String>,
    /// The destination of its requests.
    pub upstream: Arc<Upstream>,
    /// The authentication that it requires.
    pub auth: Auth,
    /// The credits that a request costs. Default 1.
    pub credits: Credits,
    /// The form in which its usage is recorded. Default folded.
    pub events: Events,
    /// Headers that upstreams may trust and that the client may still set, in lowercase. Default none.
    pub allow_headers: Vec<Box<str>>,
}

/// The setting `routes[].path` of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    /// This path only, byte for byte.
    Exact(String),
    /// This path and the paths below it: `/api` matches `/api` and `/api/x`, not `/apix`.
    Prefix(String),
}

/// The values of `routes[].auth.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// A valid key is required.
    Key,
    /// No authentication is required.
    None,
}

/// The values of `routes[].events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// One row per request.
    Rows,
    /// One count per minute.
    Folded,
}
