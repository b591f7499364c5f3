//! The metric handles of one worker: a request looks up no metric that workers share.

pub(crate) mod failure_log;

use std::cell::RefCell;
use std::sync::Arc;

use access::{NanoUsd, Refusal};
use ai::Format;
use meter::{RequestResult, Usage};
use rustc_hash::FxHashMap;
use telemetry::Metrics;
use telemetry::metrics::{
    self, CacheLabels, CodeLabels, Counter, Histogram, ModelLabels, RequestLabels, RouteLabels, TokenLabels,
    UpstreamCauseLabels, UpstreamCodeLabels, UpstreamLabels,
};

/// The token classes in the order of [`Usage::summary_classes`].
const CLASSES: [&str; 6] = ["input", "cached_input", "cache_write_short", "cache_write_long", "output", "reasoning"];
/// Maximum number of models whose handles a worker keeps, because clients choose the names of models.
const MODELS_MAX: usize = 500;

type MetricHandles<K, V> = RefCell<FxHashMap<K, V>>;
/// The address of the route's name, the address of the method's name, the status, and the result.
type RequestHandleKey = (usize, usize, u16, RequestResult);
/// The names of a provider and of a model there.
pub(crate) type ProviderModel = (Arc<str>, Arc<str>);

/// Handles of the requests that use one snapshot. The names of routes belong to the snapshot, which
/// lives longer. So an address identifies a name, and no name is hashed or compared.
#[derive(Default)]
pub(crate) struct RequestHandles(MetricHandles<RequestHandleKey, (Counter, Histogram)>);

/// A request that has ended, as metrics count it.
pub(crate) struct EndedRequest<'a> {
    pub(crate) route: &'a Arc<str>,
    pub(crate) method: &'a [u8],
    pub(crate) status: u16,
    pub(crate) result: RequestResult,
    pub(crate) duration_us: u64,
}

/// Handles, and names of formats, that requests share.
pub(crate) struct WorkerHandles {
    metrics: Arc<Metrics>,
    models: MetricHandles<ProviderModel, ModelHandles>,
    formats: [(Format, Arc<str>); Format::ALL.len()],
}

#[derive(Clone)]
struct ModelHandles {
    tokens: [Counter; 6],
    cost: Counter,
    unpriced: Counter,
}

impl WorkerHandles {
    pub(crate) fn new(metrics: &Arc<Metrics>) -> Self {
        Self {
            metrics: metrics.clone(),
            models: RefCell::default(),
            formats: Format::ALL.map(|format| (format, Arc::from(format.name()))),
        }
    }

    /// Returns the format's name.
    pub(crate) fn format(&self, format: Format) -> Arc<str> {
        let known = self.formats.iter().find(|(known, _)| *known == format);
        known.map_or_else(|| Arc::from(format.name()), |(_, name)| name.clone())
    }

    /// Counts a request that has ended; `requests` are the handles of its snapshot.
    pub(crate) fn ended(&self, requests: &RequestHandles, ended: &EndedRequest<'_>) {
        let EndedRequest { route, method, status, result, duration_us } = *ended;
        let method = metrics::method(method);
        let key = (Arc::as_ptr(route).addr(), method.as_ptr().addr(), status, result);
        let make = |_: &RequestHandleKey| {
            let labels = RequestLabels { route: route.into(), method, status, result: result.as_str() };
            let duration = RouteLabels { route: route.into() };
            let proxy = &self.metrics.proxy;
            (proxy.requests.get_or_create(&labels), proxy.duration.get_or_create(&duration))
        };
        with(&requests.0, key, make, |(requests, duration)| {
            requests.inc();
            duration.observe_us(duration_us);
        });
    }

    pub(crate) fn upstream_failed(&self, upstream: &Arc<str>, refusal: Refusal) {
        let labels = UpstreamCodeLabels { upstream: upstream.into(), code: refusal.code() };
        self.metrics.proxy.upstream_errors.get_or_create(&labels).inc();
    }

    /// Counts a retry after a failure of this cause.
    pub(crate) fn retried(&self, upstream: &Arc<str>, cause: &'static str) {
        let labels = UpstreamCauseLabels { upstream: upstream.into(), cause };
        self.metrics.proxy.upstream_retries.get_or_create(&labels).inc();
    }

    /// Counts a retry that the budget of its upstream refused.
    pub(crate) fn retry_refused(&self, upstream: &Arc<str>) {
        self.metrics.proxy.upstream_retries_refused.get_or_create(&UpstreamLabels { upstream: upstream.into() }).inc();
    }

    /// Counts a request to a cached route.
    pub(crate) fn cached(&self, route: &Arc<str>, result: &'static str) {
        self.metrics.proxy.cache_requests.get_or_create(&CacheLabels { route: route.into(), result }).inc();
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.metrics.proxy.refusals.get_or_create(&CodeLabels { code: refusal.code() }).inc();
    }

    pub(crate) fn panicked(&self) {
        self.metrics.proxy.panics.inc();
    }

    /// Counts the usage of an attempt of this model at this provider.
    pub(crate) fn used(&self, model: ProviderModel, usage: Option<&Usage>, cost: Option<NanoUsd>) {
        if self.models.borrow().len() >= MODELS_MAX {
            self.models.borrow_mut().clear();
        }
        with(
            &self.models,
            model,
            |(provider, model)| self.model(provider, model),
            |model| {
                let classes = usage.map(Usage::summary_classes).unwrap_or_default();
                for (counter, tokens) in model.tokens.iter().zip(classes) {
                    counter.inc_by(tokens.unwrap_or_default().0);
                }
                match cost {
                    Some(cost) => model.cost.inc_by(u64::try_from(cost.0).unwrap_or(0)),
                    None => model.unpriced.inc(),
                };
            },
        );
    }

    fn model(&self, provider: &Arc<str>, model: &Arc<str>) -> ModelHandles {
        let proxy = &self.metrics.proxy;
        let labels = ModelLabels { provider: provider.into(), model: model.into() };
        ModelHandles {
            tokens: CLASSES.map(|class| {
                proxy.tokens.get_or_create(&TokenLabels { provider: provider.into(), model: model.into(), class })
            }),
            cost: proxy.cost.get_or_create(&labels),
            unpriced: proxy.unpriced.get_or_create(&labels),
        }
    }
}

/// Passes the handle under `key` to `then`. A missing handle is created first.
fn with<K: Eq + std::hash::Hash, V>(
    kept: &MetricHandles<K, V>,
    key: K,
    make: impl FnOnce(&K) -> V,
    then: impl FnOnce(&V),
) {
    let mut kept = kept.borrow_mut();
    match kept.get(&key) {
        Some(value) => then(value),
        None => {
            let value = make(&key);
            then(&value);
            kept.insert(key, value);
        }
    }
}
