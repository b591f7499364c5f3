//! Metrics of the keys that issuers of access tokens publish. The configuration bounds the number of series.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::family::{Family, LabelValue, MetricLabels};

/// Maximum number of issuers with series of their own.
const ISSUERS_MAX: usize = 256;
/// Maximum number of series of fetches: two outcomes for each issuer.
const FETCHES_MAX: usize = 2 * ISSUERS_MAX;

/// Metrics of published keys.
#[derive(Debug, Clone)]
pub struct IssuerMetrics {
    /// `tollgate_issuer_fetches_total`: fetches of keys, by outcome.
    pub fetches: Family<IssuerOutcomeLabels, Counter>,
    /// `tollgate_issuer_keys`: keys in use.
    pub keys: Family<IssuerLabels, Gauge>,
    /// `tollgate_issuer_last_success_timestamp_seconds`: the end of the last fetch that succeeded.
    pub last_success: Family<IssuerLabels, Gauge>,
}

/// The issuer of a series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct IssuerLabels {
    /// The URL of its keys, or its own, as it is configured.
    pub issuer: LabelValue,
}

/// An issuer, and an outcome of its fetches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct IssuerOutcomeLabels {
    /// The URL of its keys, or its own, as it is configured.
    pub issuer: LabelValue,
    /// The outcome: `succeeded` or `failed`.
    pub outcome: &'static str,
}

impl MetricLabels for IssuerLabels {
    fn overflow(&self) -> Self {
        Self { issuer: LabelValue::other() }
    }
}

impl MetricLabels for IssuerOutcomeLabels {
    fn overflow(&self) -> Self {
        Self { issuer: LabelValue::other(), outcome: self.outcome }
    }
}

impl IssuerMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let issuers = Self {
            fetches: Family::new(FETCHES_MAX),
            keys: Family::new(ISSUERS_MAX),
            last_success: Family::new(ISSUERS_MAX),
        };
        registry.register(
            "tollgate_issuer_fetches",
            "Fetches of the keys that issuers of access tokens publish",
            issuers.fetches.clone(),
        );
        registry.register("tollgate_issuer_keys", "Keys of an issuer that verify access tokens", issuers.keys.clone());
        registry.register(
            "tollgate_issuer_last_success_timestamp_seconds",
            "End of the last successful fetch of an issuer's keys, in Unix time",
            issuers.last_success.clone(),
        );
        issuers
    }
}
