//! Metrics of the sources of members. The configuration bounds the number of series.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::family::{Family, LabelValue, MetricLabels};

/// Maximum number of sources with series of their own.
const SOURCES_MAX: usize = 256;

/// Metrics of the sources of members.
#[derive(Debug, Clone)]
pub struct SourceMetrics {
    /// `tollgate_discovery_members`: members in use.
    pub members: Family<SourceLabels, Gauge>,
    /// `tollgate_discovery_failures_total`: reads of the source that failed.
    pub failures: Family<SourceLabels, Counter>,
    /// `tollgate_discovery_last_success_timestamp_seconds`: the last response of the source.
    pub last_success: Family<SourceLabels, Gauge>,
}

/// The source of a series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct SourceLabels {
    /// The kind and the name: `dns users.internal:8080`.
    pub source: LabelValue,
}

impl MetricLabels for SourceLabels {
    fn overflow(&self) -> Self {
        Self { source: LabelValue::other() }
    }
}

impl SourceMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let sources = Self {
            members: Family::new(SOURCES_MAX),
            failures: Family::new(SOURCES_MAX),
            last_success: Family::new(SOURCES_MAX),
        };
        registry.register("tollgate_discovery_members", "Members of a source that are in use", sources.members.clone());
        registry.register(
            "tollgate_discovery_failures",
            "Reads of a source of members that failed",
            sources.failures.clone(),
        );
        registry.register(
            "tollgate_discovery_last_success_timestamp_seconds",
            "Last response of a source of members, in Unix time",
            sources.last_success.clone(),
        );
        sources
    }
}
