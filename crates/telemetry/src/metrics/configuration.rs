//! Metrics of changes of the configuration while the process runs.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::family::{Family, MetricLabels, OTHER};

/// The results, and `other`.
const RESULTS_MAX: usize = 4;

/// Metrics of changes of the configuration.
#[derive(Debug, Clone)]
pub struct ConfigurationMetrics {
    /// `tollgate_config_reloads_total`: configurations that were applied or refused.
    pub reloads: Family<ReloadLabels, Counter>,
    /// `tollgate_config_last_success_timestamp_seconds`: the time at which the running configuration was applied.
    pub last_success: Gauge,
    /// `tollgate_config_source_refused`: whether the value of the key of etcd is not in force.
    pub source_refused: Gauge,
    /// `tollgate_upgrades_refused_total`: upgrades in place after which this process continued to serve.
    pub upgrades_refused: Counter,
    /// `tollgate_config_hash`: a number that is equal on processes with the same configuration text.
    pub hash: Gauge,
}

/// The result of a reload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct ReloadLabels {
    /// The word `applied` or `refused`.
    pub result: &'static str,
}

impl MetricLabels for ReloadLabels {
    fn overflow(&self) -> Self {
        Self { result: OTHER }
    }
}

impl ConfigurationMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let configuration = Self {
            reloads: Family::new(RESULTS_MAX),
            last_success: Gauge::default(),
            source_refused: Gauge::default(),
            upgrades_refused: Counter::default(),
            hash: Gauge::default(),
        };
        registry.register(
            "tollgate_config_reloads",
            "Configurations that were applied or refused while the process runs",
            configuration.reloads.clone(),
        );
        registry.register(
            "tollgate_config_last_success_timestamp_seconds",
            "Unix time at which the running configuration was applied",
            configuration.last_success.clone(),
        );
        registry.register(
            "tollgate_config_source_refused",
            "Whether the configuration in etcd is refused, so that an earlier one is in force",
            configuration.source_refused.clone(),
        );
        registry.register(
            "tollgate_upgrades_refused",
            "Upgrades in place after which this process continued to serve",
            configuration.upgrades_refused.clone(),
        );
        registry.register(
            "tollgate_config_hash",
            "Number that is equal on processes with the same configuration text",
            configuration.hash.clone(),
        );
        configuration
    }
}
