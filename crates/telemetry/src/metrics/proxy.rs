//! What the proxy counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::family::{Family, LabelSet, LabelValue, OTHER};
use super::histogram::Histogram;

/// Routes times methods times statuses: 10,000 lines are about a megabyte of a scrape.
const REQUEST_SERIES_MAX: usize = 10_000;
/// Routes, upstreams: as many as anybody configures.
const NAME_SERIES_MAX: usize = 1_000;
/// Callers may name any model of a provider: so many are told apart.
const MODEL_SERIES_MAX: usize = 500;
/// Token classes.
const CLASSES: usize = 6;

/// One request to a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The route's name, from the configuration or of an LLM endpoint.
    pub route: LabelValue,
    /// From [`super::method`].
    pub method: &'static str,
    /// The status that the caller got.
    pub status: u16,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct RouteLabels {
    /// The route's name.
    pub route: LabelValue,
}

/// One upstream or provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct UpstreamLabels {
    /// Its name in the configuration.
    pub upstream: LabelValue,
}

/// One code of `access::refusal`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct CodeLabels {
    /// The code.
    pub code: &'static str,
}

/// A way in which an upstream failed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct UpstreamCodeLabels {
    /// Its name in the configuration.
    pub upstream: LabelValue,
    /// The code, `upstream_connect` and the like.
    pub code: &'static str,
}

/// One class of one model's tokens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct TokenLabels {
    /// The provider's name in the configuration.
    pub provider: LabelValue,
    /// The model as the provider was asked for it.
    pub model: LabelValue,
    /// `input`, `cached_input`, `cache_write_short`, `cache_write_long`, `output` or `reasoning`.
    pub class: &'static str,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct ModelLabels {
    /// The provider's name in the configuration.
    pub provider: LabelValue,
    /// The model as the provider was asked for it.
    pub model: LabelValue,
}

impl LabelSet for RequestLabels {
    fn overflow(&self) -> Self {
        Self { route: LabelValue::other(), method: OTHER, status: self.status }
    }
}

impl LabelSet for RouteLabels {
    fn overflow(&self) -> Self {
        Self { route: LabelValue::other() }
    }
}

impl LabelSet for UpstreamLabels {
    fn overflow(&self) -> Self {
        Self { upstream: LabelValue::other() }
    }
}

impl LabelSet for CodeLabels {
    fn overflow(&self) -> Self {
        Self { code: OTHER }
    }
}

impl LabelSet for UpstreamCodeLabels {
    fn overflow(&self) -> Self {
        Self { upstream: LabelValue::other(), code: self.code }
    }
}

impl LabelSet for TokenLabels {
    fn overflow(&self) -> Self {
        Self { provider: LabelValue::other(), model: LabelValue::other(), class: self.class }
    }
}

impl LabelSet for ModelLabels {
    fn overflow(&self) -> Self {
        Self { provider: LabelValue::other(), model: LabelValue::other() }
    }
}

/// The data plane's metrics. Every field is a handle; a worker clones what it needs.
#[derive(Debug, Clone)]
pub struct ProxyMetrics {
    /// `tollgate_requests_total`: requests that got an answer or were broken off.
    pub requests: Family<RequestLabels, Counter>,
    /// `tollgate_request_duration_seconds`: from the head to the end of the answer.
    pub duration: Family<RouteLabels, Histogram>,
    /// `tollgate_upstream_duration_seconds`: from the first byte sent to the head of the upstream's answer.
    pub upstream_duration: Family<UpstreamLabels, Histogram>,
    /// `tollgate_refusals_total`: what we answered with a code of our own.
    pub refusals: Family<CodeLabels, Counter>,
    /// `tollgate_upstream_errors_total`: calls upstream that failed.
    pub upstream_errors: Family<UpstreamCodeLabels, Counter>,
    /// `tollgate_connections`: callers' connections that are open.
    pub connections: Gauge,
    /// `tollgate_requests_in_flight`: requests between head and end of answer.
    pub in_flight: Gauge,
    /// `tollgate_buffered_bytes`: request bodies held in memory.
    pub buffered_bytes: Gauge,
    /// `tollgate_tokens_total`: what providers reported.
    pub tokens: Family<TokenLabels, Counter>,
    /// `tollgate_cost_nano_usd_total`: billionths of a US dollar.
    pub cost: Family<ModelLabels, Counter>,
    /// `tollgate_unpriced_requests_total`: calls whose cost is not known.
    pub unpriced: Family<ModelLabels, Counter>,
    /// `tollgate_prices_expiring_timestamp_seconds`: the second from which on a model has no price; set at start.
    pub prices_expiring: Family<ModelLabels, Gauge>,
    /// `tollgate_panics_total`: requests that ended in a panic of ours.
    pub panics: Counter,
}

impl ProxyMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let proxy = Self {
            requests: Family::new(REQUEST_SERIES_MAX),
            duration: Family::new(NAME_SERIES_MAX),
            upstream_duration: Family::new(NAME_SERIES_MAX),
            refusals: Family::new(NAME_SERIES_MAX),
            upstream_errors: Family::new(NAME_SERIES_MAX),
            connections: Gauge::default(),
            in_flight: Gauge::default(),
            buffered_bytes: Gauge::default(),
            tokens: Family::new(MODEL_SERIES_MAX * CLASSES),
            cost: Family::new(MODEL_SERIES_MAX),
            unpriced: Family::new(MODEL_SERIES_MAX),
            prices_expiring: Family::new(MODEL_SERIES_MAX),
            panics: Counter::default(),
        };
        // The text encoder ends a counter's name in `_total` and its help in a full stop.
        registry.register("tollgate_requests", "Requests by route, method and status", proxy.requests.clone());
        registry.register(
            "tollgate_request_duration_seconds",
            "From the head of a request to the end of its answer",
            proxy.duration.clone(),
        );
        registry.register(
            "tollgate_upstream_duration_seconds",
            "From the first byte sent upstream to the head of its answer",
            proxy.upstream_duration.clone(),
        );
        registry.register("tollgate_refusals", "Requests answered with a code of ours", proxy.refusals.clone());
        registry.register("tollgate_upstream_errors", "Calls upstream that failed", proxy.upstream_errors.clone());
        registry.register("tollgate_connections", "Open connections of callers", proxy.connections.clone());
        registry.register("tollgate_requests_in_flight", "Requests being served", proxy.in_flight.clone());
        registry.register("tollgate_buffered_bytes", "Bytes of bodies held in memory", proxy.buffered_bytes.clone());
        registry.register("tollgate_tokens", "Tokens that providers reported", proxy.tokens.clone());
        registry.register("tollgate_cost_nano_usd", "Billionths of a US dollar spent upstream", proxy.cost.clone());
        registry.register("tollgate_unpriced_requests", "Calls whose cost is not known", proxy.unpriced.clone());
        registry.register(
            "tollgate_prices_expiring_timestamp_seconds",
            "When the last known price of a model ends, in seconds since the Unix epoch",
            proxy.prices_expiring.clone(),
        );
        registry.register("tollgate_panics", "Requests that ended in a panic", proxy.panics.clone());
        proxy
    }
}
