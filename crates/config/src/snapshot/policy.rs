//! The policy of a route: what applies to its requests, whatever their action. LLM endpoints and the gateway's own health
//! check have policies too.

use std::ops::Range;
use std::sync::Arc;

use access::{Credits, LabelSet};
use ai::Endpoint;

use super::addresses::AddressRules;
use super::auth::Auth;
use super::body_changes::BodyChanges;
use super::cache::CacheRules;
use super::cors::Cors;
use super::fixed_response::FixedResponse;
use super::header_rules::{HeaderRules, ResponseRules};
use super::key_places::KeyPlaces;
use super::rewrite::UpstreamHost;
use super::timeouts::Timeouts;

/// What applies to the requests of a route. A request keeps its policy to its end.
#[derive(Debug, Clone)]
pub struct RoutePolicy {
    /// The name of the route, which defaults to the path; that of an LLM endpoint is its path.
    pub name: Arc<str>,
    /// The authentication that it requires.
    pub auth: Auth,
    /// The places in which clients may send keys; `None` if these are headers only.
    pub key_places: Option<Box<KeyPlaces>>,
    /// Whether a key that is restricted to routes needs this one among them.
    pub is_restrictable: bool,
    /// The positions of the rate limits that only this route has.
    pub rate_limits: Range<usize>,
    /// The form in which its usage is recorded. Default folded.
    pub events: Events,
    /// The credits that a request costs; those of an LLM call are its model's. Default 1.
    pub credits: Credits,
    /// The deadlines of its requests.
    pub timeouts: Timeouts,
    /// Its labels, by their names in order.
    pub labels: PolicyLabels,
    /// The response in place of the gateway's own errors with status 502, 503 or 504.
    pub fallback: Option<Box<FixedResponse>>,
    /// The host that backends receive.
    pub upstream_host: UpstreamHost,
    /// The changes of the headers of requests to upstreams.
    pub request_headers: Option<Box<HeaderRules>>,
    /// The changes of responses.
    pub response: Option<Box<ResponseRules>>,
    /// The changes of the bodies of requests to upstreams.
    pub request_body: Option<Arc<BodyChanges>>,
    /// The changes of the bodies of responses of upstreams.
    pub response_body: Option<Arc<BodyChanges>>,
    /// The addresses from which clients may use it; `None` means all.
    pub addresses: Option<Box<AddressRules>>,
    /// The maximum body of a request, in bytes; `None` means that of all routes.
    pub body_bytes_max: Option<u64>,
    /// The origins whose pages may send requests to it and read the responses; `None` leaves both to the upstream.
    pub cors: Option<Box<Cors>>,
    /// The cache of its responses; `None` if none is stored.
    pub cache: Option<Arc<CacheRules>>,
    /// The content codings with which responses are compressed, the preferred one first. Default none.
    pub compression: Box<[ContentCoding]>,
    /// Headers that upstreams may trust and that the client may still set, in lowercase. Default none.
    pub allow_headers: Vec<Box<str>>,
}

/// The labels of a route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyLabels {
    /// The names with their values, in the order of the names.
    pub pairs: Box<[(Box<str>, Box<str>)]>,
    /// The labels in the log: `team=accounts,tier=gold`; empty without labels.
    pub text: Box<str>,
    /// The labels in usage.
    pub set: LabelSet,
}

impl PolicyLabels {
    /// Returns the labels in the order of their names.
    #[must_use]
    pub fn new(mut pairs: Vec<(Box<str>, Box<str>)>) -> Self {
        pairs.sort();
        let text = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
        Self { pairs: pairs.into(), set: LabelSet::of_text(&text), text: text.into() }
    }
}

/// The values of `routes[].compression`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentCoding {
    /// The format of Zstandard (RFC 8878).
    Zstd,
    /// The format of Brotli (RFC 7932).
    Brotli,
    /// The coding of gzip (RFC 1952).
    Gzip,
}

impl ContentCoding {
    /// Returns the name of the coding in `Content-Encoding`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// The values of `routes[].events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// One row per request.
    Rows,
    /// One count per minute.
    Folded,
}

/// The policies of requests without a configured route.
#[derive(Debug, Clone)]
pub struct BuiltInPolicies {
    /// The policy of requests that match no route.
    pub unmatched: Arc<RoutePolicy>,
    /// The policy of the gateway's own health check.
    pub health: Arc<RoutePolicy>,
    /// The policy of reading quotas.
    pub quotas: Arc<RoutePolicy>,
    /// The policies of LLM endpoints, in the order of [`Endpoint::ALL`].
    endpoints: [Arc<RoutePolicy>; Endpoint::ALL.len()],
}

impl RoutePolicy {
    /// Returns whether it is the policy of a route of the configuration, to which keys may be restricted.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        self.is_restrictable
    }

    /// Returns the maximum body of a request of the route, in bytes; `general` is that of all routes.
    #[must_use]
    pub fn body_bytes_max(&self, general: u64) -> u64 {
        self.body_bytes_max.unwrap_or(general)
    }

    /// Returns the policy of a route that needs no client and is free.
    fn open(name: &str, timeouts: Timeouts) -> Self {
        Self {
            name: name.into(),
            auth: Auth::None,
            key_places: None,
            is_restrictable: false,
            rate_limits: 0..0,
            events: Events::Folded,
            credits: Credits::ZERO,
            timeouts,
            labels: PolicyLabels::default(),
            fallback: None,
            upstream_host: UpstreamHost::Backend,
            request_headers: None,
            response: None,
            request_body: None,
            response_body: None,
            addresses: None,
            body_bytes_max: None,
            cors: None,
            cache: None,
            compression: Box::default(),
            allow_headers: Vec::new(),
        }
    }
}

impl BuiltInPolicies {
    /// Returns the policies with the deadlines of ordinary routes and those of LLM endpoints.
    #[must_use]
    pub fn new(timeouts: Timeouts, of_endpoints: Timeouts) -> Self {
        let of = |endpoint: Endpoint| {
            if endpoint == Endpoint::Root {
                return RoutePolicy::open(endpoint.path(), timeouts);
            }
            RoutePolicy { auth: Auth::Key, events: Events::Rows, ..RoutePolicy::open(endpoint.path(), of_endpoints) }
        };
        Self {
            unmatched: Arc::new(RoutePolicy::open("unmatched", timeouts)),
            quotas: Arc::new(RoutePolicy { auth: Auth::Key, ..RoutePolicy::open("/v1/usage", timeouts) }),
            health: Arc::new(RoutePolicy::open("healthz", timeouts)),
            endpoints: Endpoint::ALL.map(|endpoint| Arc::new(of(endpoint))),
        }
    }

    /// Returns the policy of an LLM endpoint.
    #[must_use]
    pub fn of_endpoint(&self, endpoint: Endpoint) -> &Arc<RoutePolicy> {
        let position = Endpoint::ALL.iter().position(|known| *known == endpoint);
        position.and_then(|position| self.endpoints.get(position)).unwrap_or(&self.unmatched)
    }
}
