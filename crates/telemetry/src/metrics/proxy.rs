//! Metrics of the proxy.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::family::{Family, LabelValue, MetricLabels, OTHER};
use super::histogram::Histogram;

/// Maximum of routes × methods × statuses: 10,000 series are about one megabyte per scrape.
const REQUEST_SERIES_MAX: usize = 10_000;
/// Maximum number of routes or upstreams; real configurations have fewer.
const NAME_SERIES_MAX: usize = 1_000;
/// Maximum number of models; clients may request any model of a provider.
const MODEL_SERIES_MAX: usize = 500;
/// Number of token classes.
const CLASSES: usize = 6;

/// One series per route, whose labels are those of the configuration.
#[derive(Debug, Clone, Default)]
pub struct ConfiguredLabels(prometheus_client::metrics::family::Family<Vec<(String, LabelValue)>, Gauge>);

impl ConfiguredLabels {
    /// Shows the labels of these routes, each with its name; those of all others vanish. Routes beyond 1,000 are not
    /// shown.
    pub fn show<'a, L: IntoIterator<Item = (&'a str, &'a str)>>(&self, routes: impl IntoIterator<Item = (&'a str, L)>) {
        self.0.clear();
        for (route, labels) in routes.into_iter().take(NAME_SERIES_MAX) {
            let pairs = std::iter::once(("route", route)).chain(labels);
            let labels = pairs.map(|(name, value)| (name.to_owned(), value.into())).collect();
            self.0.get_or_create(&labels).set(1);
        }
    }
}

/// Labels of one request to a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The name of the route, from the configuration or of an LLM endpoint.
    pub route: LabelValue,
    /// The method, as [`super::method`] returns it.
    pub method: &'static str,
    /// The status that the client received.
    pub status: u16,
    /// The result of the request: `succeeded`, `refused` or `failed`.
    pub result: &'static str,
}

/// Labels of one route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct RouteLabels {
    /// The name of the route.
    pub route: LabelValue,
}

/// Labels of one upstream or provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct UpstreamLabels {
    /// The name of the upstream in the configuration.
    pub upstream: LabelValue,
}

/// Labels of one code of `access::refusal`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct CodeLabels {
    /// The code of the refusal.
    pub code: &'static str,
}

/// Labels of one kind of upstream failure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct UpstreamCodeLabels {
    /// The name of the upstream in the configuration.
    pub upstream: LabelValue,
    /// The code, such as `upstream_connect`.
    pub code: &'static str,
}

/// Labels of the requests to one cached route with one result of its cache.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct CacheLabels {
    /// The name of the route.
    pub route: LabelValue,
    /// `hit`, `stale`, `revalidated`, `miss` or `bypass`.
    pub result: &'static str,
}

/// Labels of the calls of Redis for responses with one result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct CacheStoreLabels {
    /// `hit`, `miss`, `unavailable`, `written` or `unwritten`.
    pub result: &'static str,
}

/// Labels of the retries of one upstream after failures of one cause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct UpstreamCauseLabels {
    /// The name of the upstream or provider in the configuration.
    pub upstream: LabelValue,
    /// `connect`, `reset`, `timeout` or `status`.
    pub cause: &'static str,
}

/// Labels of one token class of one model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct TokenLabels {
    /// The name of the provider in the configuration.
    pub provider: LabelValue,
    /// The model's name as the provider knows it.
    pub model: LabelValue,
    /// `input`, `cached_input`, `cache_write_short`, `cache_write_long`, `output` or `reasoning`.
    pub class: &'static str,
}

/// Labels of one model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct ModelLabels {
    /// The name of the provider in the configuration.
    pub provider: LabelValue,
    /// The model's name as the provider knows it.
    pub model: LabelValue,
}

impl MetricLabels for RequestLabels {
    fn overflow(&self) -> Self {
        Self { route: LabelValue::other(), method: OTHER, status: self.status, result: self.result }
    }
}

impl MetricLabels for RouteLabels {
    fn overflow(&self) -> Self {
        Self { route: LabelValue::other() }
    }
}

impl MetricLabels for UpstreamLabels {
    fn overflow(&self) -> Self {
        Self { upstream: LabelValue::other() }
    }
}

impl MetricLabels for CodeLabels {
    fn overflow(&self) -> Self {
        Self { code: OTHER }
    }
}

impl MetricLabels for UpstreamCodeLabels {
    fn overflow(&self) -> Self {
        Self { upstream: LabelValue::other(), code: self.code }
    }
}

impl MetricLabels for CacheStoreLabels {
    fn overflow(&self) -> Self {
        self.clone()
    }
}

impl MetricLabels for CacheLabels {
    fn overflow(&self) -> Self {
        Self { route: LabelValue::other(), result: self.result }
    }
}

impl MetricLabels for UpstreamCauseLabels {
    fn overflow(&self) -> Self {
        Self { upstream: LabelValue::other(), ..self.clone() }
    }
}

impl MetricLabels for TokenLabels {
    fn overflow(&self) -> Self {
        Self { provider: LabelValue::other(), model: LabelValue::other(), class: self.class }
    }
}

impl MetricLabels for ModelLabels {
    fn overflow(&self) -> Self {
        Self { provider: LabelValue::other(), model: LabelValue::other() }
    }
}

/// Metrics of the proxy. Every field is a handle; a worker clones the handles that it needs.
#[derive(Debug, Clone)]
pub struct ProxyMetrics {
    /// `tollgate_requests_total`: requests that were answered or aborted.
    pub requests: Family<RequestLabels, Counter>,
    /// `tollgate_request_duration_seconds`: time from the request's head to the end of the response.
    pub duration: Family<RouteLabels, Histogram>,
    /// `tollgate_upstream_duration_seconds`: time from the first byte sent upstream to the head of its response.
    pub upstream_duration: Family<UpstreamLabels, Histogram>,
    /// `tollgate_refusals_total`: requests that Tollgate refused.
    pub refusals: Family<CodeLabels, Counter>,
    /// `tollgate_upstream_errors_total`: attempts that failed.
    pub upstream_errors: Family<UpstreamCodeLabels, Counter>,
    /// `tollgate_route_labels`: 1 for each route with labels, which are labels of the metric.
    pub route_labels: ConfiguredLabels,
    /// `tollgate_upstream_retries_total`: attempts that repeat another.
    pub upstream_retries: Family<UpstreamCauseLabels, Counter>,
    /// `tollgate_upstream_retries_refused_total`: retries that the upstream's budget did not allow.
    pub upstream_retries_refused: Family<UpstreamLabels, Counter>,
    /// `tollgate_cache_requests_total`: requests to cached routes.
    pub cache_requests: Family<CacheLabels, Counter>,
    /// `tollgate_cache_store_total`: look-ups and writes of responses in Redis.
    pub cache_store: Family<CacheStoreLabels, Counter>,
    /// `tollgate_cache_responses`: responses that are stored in memory.
    pub cache_responses: Gauge,
    /// `tollgate_cache_bytes`: bytes in memory of stored responses.
    pub cache_bytes: Gauge,
    /// `tollgate_connections`: open client connections.
    pub connections: Gauge,
    /// `tollgate_requests_in_flight`: requests whose response has not ended.
    pub in_flight: Gauge,
    /// `tollgate_buffered_bytes`: bytes of request bodies in memory.
    pub buffered_bytes: Gauge,
    /// `tollgate_tokens_total`: tokens that providers reported.
    pub tokens: Family<TokenLabels, Counter>,
    /// `tollgate_cost_nano_usd_total`: known cost in nano-USD.
    pub cost: Family<ModelLabels, Counter>,
    /// `tollgate_unpriced_requests_total`: attempts whose cost is unknown.
    pub unpriced: Family<ModelLabels, Counter>,
    /// `tollgate_prices_expiring_timestamp_seconds`: Unix time at which the last price of a model ends.
    pub prices_expiring: Family<ModelLabels, Gauge>,
    /// `tollgate_panics_total`: requests whose handler panicked.
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
            route_labels: ConfiguredLabels::default(),
            upstream_retries: Family::new(NAME_SERIES_MAX),
            upstream_retries_refused: Family::new(NAME_SERIES_MAX),
            cache_requests: Family::new(NAME_SERIES_MAX),
            cache_store: Family::new(NAME_SERIES_MAX),
            cache_responses: Gauge::default(),
            cache_bytes: Gauge::default(),
            connections: Gauge::default(),
            in_flight: Gauge::default(),
            buffered_bytes: Gauge::default(),
            tokens: Family::new(MODEL_SERIES_MAX * CLASSES),
            cost: Family::new(MODEL_SERIES_MAX),
            unpriced: Family::new(MODEL_SERIES_MAX),
            prices_expiring: Family::new(MODEL_SERIES_MAX),
            panics: Counter::default(),
        };
        // The text encoder appends `_total` to the name of a counter and a full stop to its help.
        registry.register("tollgate_requests", "Requests by route, method, status and result", proxy.requests.clone());
        registry.register(
            "tollgate_request_duration_seconds",
            "Time from the head of a request to the end of its response",
            proxy.duration.clone(),
        );
        registry.register(
            "tollgate_upstream_duration_seconds",
            "Time from the first byte sent upstream to the head of its response",
            proxy.upstream_duration.clone(),
        );
        registry.register("tollgate_refusals", "Requests that Tollgate refused, by error code", proxy.refusals.clone());
        registry.register(
            "tollgate_upstream_errors",
            "Attempts that failed, by upstream and error code",
            proxy.upstream_errors.clone(),
        );
        registry.register("tollgate_connections", "Open client connections", proxy.connections.clone());
        registry.register("tollgate_requests_in_flight", "Requests in flight", proxy.in_flight.clone());
        registry.register("tollgate_buffered_bytes", "Bytes of request bodies in memory", proxy.buffered_bytes.clone());
        registry.register("tollgate_tokens", "Tokens that providers reported", proxy.tokens.clone());
        registry.register("tollgate_cost_nano_usd", "Known cost of attempts in nano-USD", proxy.cost.clone());
        registry.register("tollgate_unpriced_requests", "Attempts whose cost is unknown", proxy.unpriced.clone());
        registry.register(
            "tollgate_prices_expiring_timestamp_seconds",
            "Unix time at which the last price of a model ends",
            proxy.prices_expiring.clone(),
        );
        registry.register("tollgate_panics", "Requests whose handler panicked", proxy.panics.clone());
        proxy.register_cache(registry);
        proxy.register_upstreams(registry);
        proxy
    }

    fn register_cache(&self, registry: &mut Registry) {
        registry.register(
            "tollgate_cache_requests",
            "Requests to cached routes, by the part of the cache",
            self.cache_requests.clone(),
        );
        registry.register(
            "tollgate_cache_store",
            "Look-ups and writes of responses in Redis, by result",
            self.cache_store.clone(),
        );
        registry.register("tollgate_cache_responses", "Responses in the cache", self.cache_responses.clone());
        registry.register("tollgate_cache_bytes", "Memory of the responses in the cache", self.cache_bytes.clone());
    }

    fn register_upstreams(&self, registry: &mut Registry) {
        registry.register("tollgate_route_labels", "Labels of routes", self.route_labels.0.clone());
        registry.register(
            "tollgate_upstream_retries",
            "Attempts that repeat another, by upstream and cause",
            self.upstream_retries.clone(),
        );
        registry.register(
            "tollgate_upstream_retries_refused",
            "Retries that the budget of their upstream did not allow",
            self.upstream_retries_refused.clone(),
        );
    }
}
