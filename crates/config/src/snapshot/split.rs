//! Routes whose requests are divided among several upstreams.

use std::sync::Arc;

use super::policy::RoutePolicy;
use super::rewrite::Rewrite;
use super::upstream::Upstream;

/// The upstreams of one route with a list in `upstreams`.
#[derive(Debug, Clone)]
pub struct Split {
    /// Upstreams with a weight above zero: at least two, or one with its own changes.
    pub upstreams: Vec<WeightedUpstream>,
}

/// One entry of `routes[].upstreams`.
#[derive(Debug, Clone)]
pub struct WeightedUpstream {
    /// The upstream that gets the share.
    pub upstream: Arc<Upstream>,
    /// Its share of the requests, relative to the others: 1 to 1,000,000.
    pub weight: u32,
    /// The changes of its requests and responses, in place of those of the route; `None` if these apply.
    pub changes: Option<Arc<UpstreamChanges>>,
}

/// The changes of the requests and responses of one upstream of a route.
#[derive(Debug, Clone)]
pub struct UpstreamChanges {
    /// The policy of the route with the changes of headers, hosts and statuses of this upstream.
    pub policy: Arc<RoutePolicy>,
    /// The change of the targets of its requests.
    pub rewrite: Option<Box<Rewrite>>,
}
