//! Routes whose requests are divided among several upstreams.

use std::sync::Arc;

use super::upstream::Upstream;

/// The upstreams of one route with a list in `upstreams`.
#[derive(Debug, Clone)]
pub struct Split {
    /// Upstreams with a weight above zero, at least two.
    pub upstreams: Vec<WeightedUpstream>,
}

/// One entry of `routes[].upstreams`.
#[derive(Debug, Clone)]
pub struct WeightedUpstream {
    /// The upstream that gets the share.
    pub upstream: Arc<Upstream>,
    /// Its share of the requests, relative to the others: 1 to 1,000,000.
    pub weight: u32,
}
