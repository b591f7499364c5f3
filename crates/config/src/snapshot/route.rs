//! Routes of ordinary APIs.

use std::fmt;
use std::sync::Arc;

use access::Credits;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::upstream::Upstream;

/// One entry of `routes`.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name; defaults to the path.
    pub name: Arc<str>,
    /// The hosts that it matches; `None` means all.
    pub host: Option<HostMatch>,
    /// The paths that it matches.
    pub path: PathMatch,
    /// The methods that it accepts, uppercase; empty means all.
    pub methods: Vec<String>,
    /// What happens to its requests.
    pub action: Action,
    /// The authentication that it requires.
    pub auth: Auth,
    /// The credits that a request costs. Default 1.
    pub credits: Credits,
    /// The form in which its usage is recorded. Default folded.
    pub events: Events,
    /// Whether its clients may open WebSockets. Default false.
    pub websocket: bool,
    /// Headers that upstreams may trust and that the client may still set, in lowercase. Default none.
    pub allow_headers: Vec<Box<str>>,
}

/// What happens to the requests of a route.
#[derive(Debug, Clone)]
pub enum Action {
    /// They are forwarded: `upstreams`.
    Forward(Arc<Upstream>),
    /// The gateway responds: `respond`.
    Respond(FixedResponse),
    /// The client is sent to another address: `redirect`.
    Redirect(Redirect),
}

/// A response from the configuration.
#[derive(Debug, Clone)]
pub struct FixedResponse {
    /// The status, from 200 to 599.
    pub status: StatusCode,
    /// The fields, without those of framing.
    pub headers: HeaderMap,
    /// The content; empty for a status without content.
    pub body: Bytes,
}

/// A redirect to another address.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// The new address: a path, or an `http` or `https` URL.
    pub to: HeaderValue,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

/// The setting `routes[].host` of the file, in lowercase.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostMatch {
    /// This host only.
    Exact(String),
    /// All hosts below this domain: `*.example.com` is `example.com`.
    Below(String),
}

impl fmt::Display for HostMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

/// The setting `routes[].path` of the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

/// The values of `routes[].upgrades`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// A WebSocket over HTTP/1.1 (RFC 6455).
    WebSocket,
}

/// The values of `routes[].events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// One row per request.
    Rows,
    /// One count per minute.
    Folded,
}
