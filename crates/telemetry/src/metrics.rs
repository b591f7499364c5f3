//! All metrics, by name. Each metric is a typed field; [`Metrics::encode`] returns the text of `/metrics`.
//!
//! The number of series is bounded: each [`Family`] has a maximum and counts the excess under `other`. Workers keep the
//! handles of the [`Counter`]s and [`Histogram`]s of most families. Those of refusals and upstream errors are looked up
//! each time, with a lock.

mod backends;
mod board;
mod clock;
mod configuration;
mod disk;
mod exemplars;
mod export;
mod family;
mod histogram;
mod issuers;
mod jobs;
mod limits;
mod memory_limit;
mod meter;
mod process;
mod proxy;
mod sources;
mod targets;
mod text_format;
mod tls;
mod total;
mod traces;

use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::EncodeLabelSet;
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use board::{
    BackendBoard, BackendCondition, BackendStatus, FAILURE_CAUSES, FAILURE_OF_STATUS, ReachedLimit, TARGET_RESULTS,
    TargetStatus,
};
pub use clock::ClockMetrics;
pub use configuration::{ConfigurationMetrics, ReloadLabels};
pub use disk::{DiskMetrics, FolderLabels};
pub use exemplars::{Exemplars, ExportedRequest};
pub use export::ExportMetrics;
pub use family::{Family, LabelValue, MetricLabels, NAME_BYTES_MAX, OTHER, method};
pub use histogram::{Histogram, HistogramCounts, WorkerHistogram};
pub use issuers::{IssuerLabels, IssuerMetrics, IssuerOutcomeLabels};
pub use jobs::{JobLabels, JobMetrics, JobRunLabels};
pub use limits::{LimitLabels, WindowLimitMetrics};
pub use meter::{LeaseMetrics, MeasureAmounts, MeterMetrics, PerMeasure, Seconds, SpoolMetrics};
pub use proxy::{
    CacheLabels, CacheStoreLabels, CodeLabels, ConfiguredLabels, ModelLabels, ProxyMetrics, RequestLabels, RouteLabels,
    TokenLabels, UpstreamCauseLabels, UpstreamCodeLabels, UpstreamLabels,
};
pub use sources::{SourceLabels, SourceMetrics};
pub use tls::{CertificateLabels, TlsMetrics};
pub use total::set_total;
pub use traces::{TraceDropLabels, TraceMetrics};

/// The media type of the text that [`Metrics::encode`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The media type of the text of [`Metrics::encode_text`].
pub const TEXT_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Maximum number of series of one admin API family: paths × methods × statuses.
const API_SERIES_MAX: usize = 1_000;

type ScrapeHook = Box<dyn Fn(&Metrics) + Send + Sync>;

/// All metrics of the process.
pub struct Metrics {
    /// Metrics of the proxy.
    pub proxy: ProxyMetrics,
    /// Metrics of reservations; copied at scrape.
    pub meter: MeterMetrics,
    /// Metrics of budget leases; copied at scrape.
    pub leases: LeaseMetrics,
    /// Metrics of the spool; copied at scrape.
    pub spool: SpoolMetrics,
    /// Metrics of the admin API.
    pub control: ControlMetrics,
    /// Metrics of rate limits over sliding windows.
    pub limits: WindowLimitMetrics,
    /// Metrics of background jobs; copied at scrape.
    pub jobs: JobMetrics,
    /// Metrics of the store; copied at scrape.
    pub store: StoreMetrics,
    /// Metrics of the log; copied at scrape.
    pub log: LogMetrics,
    /// Metrics of the vault; copied at scrape.
    pub vault: VaultMetrics,
    /// Metrics of listeners with TLS.
    pub tls: TlsMetrics,
    /// Metrics of the system's clock.
    pub clock: ClockMetrics,
    /// Metrics of the disks on which the process writes.
    pub disk: DiskMetrics,
    /// Metrics of changes of the configuration.
    pub configuration: ConfigurationMetrics,
    /// Metrics of the keys that issuers of access tokens publish.
    pub issuers: IssuerMetrics,
    /// Metrics of the export of traces, and its queue.
    pub traces: TraceMetrics,
    /// Metrics of the export of usage events; copied at scrape.
    pub export: ExportMetrics,
    /// Metrics of the sources of members.
    pub sources: SourceMetrics,
    /// The backends, whose metrics are read from their states at scrape.
    pub backends: Arc<BackendBoard>,
    process: process::ProcessMetrics,
    registry: Registry,
    hooks: RwLock<Vec<ScrapeHook>>,
}

/// Metrics of the store.
#[derive(Debug, Clone, Default)]
pub struct StoreMetrics {
    /// `tollgate_store_expired_rows_total`: usage rows deleted because they were older than their retention.
    pub expired_rows: Counter,
}

/// Metrics of the vault.
#[derive(Debug, Clone, Default)]
pub struct VaultMetrics {
    /// `tollgate_vault_key_age_seconds`: time since the store first saw the current master key.
    pub key_age_seconds: Gauge,
    /// `tollgate_vault_undecryptable_total`: provider credentials that could not be decrypted when they were looked up.
    pub undecryptable: Counter,
}

/// Metrics of the log.
#[derive(Debug, Clone, Default)]
pub struct LogMetrics {
    /// `tollgate_log_lines_dropped_total`: lines dropped because the queue was full.
    pub lines_dropped: Counter,
}

/// Metrics of the admin API.
#[derive(Debug, Clone)]
pub struct ControlMetrics {
    /// `api_requests_total`: requests that control answered.
    pub requests: Family<ApiLabels, Counter>,
    /// `api_response_time_seconds`: time from the request's head to the response's head.
    pub response_time: Family<PathLabels, Histogram>,
    /// `api_panics_total`: requests whose handler panicked.
    pub panics: Counter,
    /// `api_passwords_hashed_total`: passwords that were hashed or verified.
    pub passwords_hashed: Counter,
    /// `api_passwords_refused_total`: requests refused because the queue of password hashing was full.
    pub passwords_refused: Counter,
}

/// Labels of one request to the admin API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct ApiLabels {
    /// The method, as [`method`] returns it.
    pub method: &'static str,
    /// The pattern of the path (`/api/keys/{id}`), never the path itself; `other` for an unknown path.
    pub path: LabelValue,
    /// The status of the response.
    pub status: u16,
}

/// Labels of one endpoint of the admin API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct PathLabels {
    /// The method, as [`method`] returns it.
    pub method: &'static str,
    /// The pattern of the path.
    pub path: LabelValue,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

impl MetricLabels for ApiLabels {
    fn overflow(&self) -> Self {
        Self { method: OTHER, path: LabelValue::other(), status: self.status }
    }
}

impl MetricLabels for PathLabels {
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
    /// Returns all metrics, with the value zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::default();
        registry.register(
            "tollgate_build",
            "Version of the running build",
            Info::new(BuildLabels { version: env!("CARGO_PKG_VERSION") }),
        );
        let backends = backends::register(&mut registry);
        targets::register(&mut registry, &backends);
        Arc::new(Self {
            proxy: ProxyMetrics::register(&mut registry),
            meter: MeterMetrics::register(&mut registry),
            leases: LeaseMetrics::register(&mut registry),
            spool: SpoolMetrics::register(&mut registry),
            control: ControlMetrics::register(&mut registry),
            limits: WindowLimitMetrics::register(&mut registry),
            jobs: JobMetrics::register(&mut registry),
            store: StoreMetrics::register(&mut registry),
            log: LogMetrics::register(&mut registry),
            vault: VaultMetrics::register(&mut registry),
            tls: TlsMetrics::register(&mut registry),
            clock: ClockMetrics::register(&mut registry),
            disk: DiskMetrics::register(&mut registry),
            configuration: ConfigurationMetrics::register(&mut registry),
            issuers: IssuerMetrics::register(&mut registry),
            traces: TraceMetrics::register(&mut registry),
            export: ExportMetrics::register(&mut registry),
            sources: SourceMetrics::register(&mut registry),
            backends,
            process: process::ProcessMetrics::register(&mut registry),
            registry,
            hooks: RwLock::default(),
        })
    }

    /// Registers a hook that runs before every [`Metrics::encode`] and copies values from other crates. A hook must not
    /// block, nor call `on_scrape` or `encode`.
    pub fn on_scrape(&self, hook: ScrapeHook) {
        self.hooks.write().unwrap_or_else(PoisonError::into_inner).push(hook);
    }

    /// Returns all metrics in the OpenMetrics text format ([`CONTENT_TYPE`]), which Prometheus reads.
    #[must_use]
    pub fn encode(&self) -> String {
        for hook in &*self.hooks.read().unwrap_or_else(PoisonError::into_inner) {
            hook(self);
        }
        self.process.read();
        self.traces.queue.show();
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    /// Returns all metrics in the older text format of Prometheus.
    #[must_use]
    pub fn encode_text(&self) -> String {
        text_format::from_open_metrics(&self.encode())
    }

    /// Returns all metrics like [`Metrics::encode`], with an exported trace for each bucket of request durations that has
    /// one. Only readers of OpenMetrics accept these exemplars.
    #[must_use]
    pub fn encode_with_exemplars(&self) -> String {
        self.traces.exemplars.added_to(self.encode())
    }
}

impl StoreMetrics {
    fn register(registry: &mut Registry) -> Self {
        let store = Self::default();
        registry.register(
            "tollgate_store_expired_rows",
            "Usage rows deleted because they were older than their retention",
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
            "Time since the store first saw the current master key",
            vault.key_age_seconds.clone(),
        );
        registry.register(
            "tollgate_vault_undecryptable",
            "Provider credentials that could not be decrypted when they were looked up",
            vault.undecryptable.clone(),
        );
        vault
    }
}

impl LogMetrics {
    fn register(registry: &mut Registry) -> Self {
        let log = Self::default();
        registry.register(
            "tollgate_log_lines_dropped",
            "Log lines dropped because the queue to stderr was full",
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
        registry.register("api_requests", "Requests to the admin API", control.requests.clone());
        registry.register(
            "api_response_time_seconds",
            "Time from the head of a request to the head of its response",
            control.response_time.clone(),
        );
        registry.register("api_panics", "Requests to the admin API whose handler panicked", control.panics.clone());
        registry.register("api_passwords_hashed", "Passwords hashed or verified", control.passwords_hashed.clone());
        let refused = control.passwords_refused.clone();
        registry.register(
            "api_passwords_refused",
            "Requests refused because the queue of password hashing was full",
            refused,
        );
        control
    }
}

#[cfg(test)]
mod tests;
