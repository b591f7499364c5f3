//! Every metric by name. What is counted is a typed field; what `/metrics` shows is [`Metrics::encode`].
//!
//! Label sets are bounded: each [`Family`] has a largest number of series and folds the excess into `other`. On the hot
//! path nobody looks into a family: a worker asks once for a [`Counter`] or [`Histogram`] and keeps it.

mod family;
mod histogram;
mod limits;
mod meter;
mod process;
mod proxy;

use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::EncodeLabelSet;
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use family::{Family, LabelSet, LabelValue, NAME_BYTES_MAX, OTHER, method};
pub use histogram::Histogram;
pub use limits::{LimitLabels, WindowLimitMetrics};
pub use meter::{LeaseMetrics, MeasureAmounts, MeterMetrics, PerMeasure, Seconds, SpoolMetrics};
pub use proxy::{
    CodeLabels, ModelLabels, ProxyMetrics, RequestLabels, RouteLabels, TokenLabels, UpstreamCodeLabels, UpstreamLabels,
};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Paths of the control API times methods times statuses.
const API_SERIES_MAX: usize = 1_000;

type ScrapeHook = Box<dyn Fn(&Metrics) + Send + Sync>;

/// All metrics of the process.
pub struct Metrics {
    /// The data plane.
    pub proxy: ProxyMetrics,
    /// Reservations, and how they ended; set at scrape.
    pub meter: MeterMetrics,
    /// Leases of budgets that nodes share; set at scrape.
    pub leases: LeaseMetrics,
    /// The file of usage events; set at scrape.
    pub spool: SpoolMetrics,
    /// The control API.
    pub control: ControlMetrics,
    /// Rate limits over sliding windows.
    pub limits: WindowLimitMetrics,
    /// The store; set at scrape.
    pub store: StoreMetrics,
    /// The log; set at scrape.
    pub log: LogMetrics,
    /// The vault; set at scrape.
    pub vault: VaultMetrics,
    process: process::ProcessMetrics,
    registry: Registry,
    hooks: RwLock<Vec<ScrapeHook>>,
}

/// The store.
#[derive(Debug, Clone, Default)]
pub struct StoreMetrics {
    /// `tollgate_store_expired_rows_total`: rows of usage that were older than their retention, and deleted.
    pub expired_rows: Counter,
}

/// Credentials of providers.
#[derive(Debug, Clone, Default)]
pub struct VaultMetrics {
    /// `tollgate_vault_key_age_seconds`: since the store saw the master key that is in use for the first time.
    pub key_age_seconds: Gauge,
    /// `tollgate_vault_unopened_total`: credentials that did not open when they were looked up.
    pub unopened: Counter,
}

/// The log.
#[derive(Debug, Clone, Default)]
pub struct LogMetrics {
    /// `tollgate_log_lines_dropped_total`: lines that found their queue full.
    pub lines_dropped: Counter,
}

/// The control API.
#[derive(Debug, Clone)]
pub struct ControlMetrics {
    /// `api_requests_total`.
    pub requests: Family<ApiLabels, Counter>,
    /// `api_response_time_seconds`.
    pub response_time: Family<PathLabels, Histogram>,
    /// `api_panics_total`: handlers that panicked.
    pub panics: Counter,
    /// `api_passwords_hashed_total`: passwords hashed or checked.
    pub passwords_hashed: Counter,
    /// `api_passwords_refused_total`: calls that found the queue for it full.
    pub passwords_refused: Counter,
}

/// One call of the control API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct ApiLabels {
    /// From [`method`].
    pub method: &'static str,
    /// The path's pattern (`/api/keys/{id}`), never the path itself; `other` for an unknown one.
    pub path: LabelValue,
    /// The status that was answered.
    pub status: u16,
}

/// One endpoint of the control API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct PathLabels {
    /// From [`method`].
    pub method: &'static str,
    /// The path's pattern.
    pub path: LabelValue,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

impl LabelSet for ApiLabels {
    fn overflow(&self) -> Self {
        Self { method: OTHER, path: LabelValue::other(), status: self.status }
    }
}

impl LabelSet for PathLabels {
    fn overflow(&self) -> Self {
        Self { method: OTHER, path: LabelValue::other() }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::default();
        registry.register("tollgate_build", "The build", Info::new(BuildLabels { version: env!("CARGO_PKG_VERSION") }));
        Arc::new(Self {
            proxy: ProxyMetrics::register(&mut registry),
            meter: MeterMetrics::register(&mut registry),
            leases: LeaseMetrics::register(&mut registry),
            spool: SpoolMetrics::register(&mut registry),
            control: ControlMetrics::register(&mut registry),
            limits: WindowLimitMetrics::register(&mut registry),
            store: StoreMetrics::register(&mut registry),
            log: LogMetrics::register(&mut registry),
            vault: VaultMetrics::register(&mut registry),
            process: process::ProcessMetrics::register(&mut registry),
            registry,
            hooks: RwLock::default(),
        })
    }

    /// Has `hook` called before every [`Metrics::encode`], to copy figures that live elsewhere. It must not block, nor
    /// call `on_scrape` or `encode`.
    pub fn on_scrape(&self, hook: ScrapeHook) {
        self.hooks.write().unwrap_or_else(PoisonError::into_inner).push(hook);
    }

    /// All metrics in the OpenMetrics text format ([`CONTENT_TYPE`]), which Prometheus reads.
    #[must_use]
    pub fn encode(&self) -> String {
        for hook in &*self.hooks.read().unwrap_or_else(PoisonError::into_inner) {
            hook(self);
        }
        self.process.read();
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

impl StoreMetrics {
    fn register(registry: &mut Registry) -> Self {
        let store = Self::default();
        registry.register(
            "tollgate_store_expired_rows",
            "Rows of usage deleted as older than their retention",
            store.expired_rows.clone(),
        );
        store
    }
}

impl VaultMetrics {
    fn register(registry: &mut Registry) -> Self {
        let vault = Self::default();
        registry.register(
            "tollgate_vault_key_age_seconds",
            "Since the store first saw the master key in use",
            vault.key_age_seconds.clone(),
        );
        registry.register(
            "tollgate_vault_unopened",
            "Credentials that did not open when they were looked up",
            vault.unopened.clone(),
        );
        vault
    }
}

impl LogMetrics {
    fn register(registry: &mut Registry) -> Self {
        let log = Self::default();
        registry.register(
            "tollgate_log_lines_dropped",
            "Log lines dropped because stderr was full",
            log.lines_dropped.clone(),
        );
        log
    }
}

impl ControlMetrics {
    fn register(registry: &mut Registry) -> Self {
        let control = Self {
            requests: Family::new(API_SERIES_MAX),
            response_time: Family::new(API_SERIES_MAX),
            panics: Counter::default(),
            passwords_hashed: Counter::default(),
            passwords_refused: Counter::default(),
        };
        registry.register("api_requests", "Calls of the control API", control.requests.clone());
        registry.register(
            "api_response_time_seconds",
            "From the head of a call to the head of its answer",
            control.response_time.clone(),
        );
        registry.register("api_panics", "Handlers of the control API that panicked", control.panics.clone());
        registry.register("api_passwords_hashed", "Passwords hashed or checked", control.passwords_hashed.clone());
        let refused = control.passwords_refused.clone();
        registry.register("api_passwords_refused", "Calls that found the queue for passwords full", refused);
        control
    }
}

/// Sets a counter to a total that is kept elsewhere; a smaller one is ignored, because counters never go back.
pub fn set_total(counter: &Counter, total: u64) {
    counter.inner().fetch_max(total, std::sync::atomic::Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
