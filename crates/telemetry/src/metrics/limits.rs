//! Metrics of rate limits over sliding windows: those of the admin API and of unauthenticated clients.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::family::{Family, LabelValue, MetricLabels};

/// Maximum number of series. Tollgate itself and the configuration define the names.
const SERIES_MAX: usize = 32;

/// Metrics of rate limits over sliding windows.
#[derive(Debug, Clone)]
pub struct WindowLimitMetrics {
    /// `tollgate_limits_shared`: 1 while Redis counts the requests. Set at scrape.
    pub shared: Gauge,
    /// `tollgate_limits_fallbacks_total`: requests counted in this process because Redis did not respond. Set at
    /// scrape.
    pub fallbacks: Counter,
    /// `tollgate_limits_refused_total`: requests over a limit.
    pub refused: Family<LimitLabels, Counter>,
}

/// Labels of one rate limit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct LimitLabels {
    /// The limit's name: of a closed list, or of the configuration.
    pub limit: LabelValue,
}

impl MetricLabels for LimitLabels {
    fn overflow(&self) -> Self {
        Self { limit: LabelValue::other() }
    }
}

impl WindowLimitMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let limits = Self { shared: Gauge::default(), fallbacks: Counter::default(), refused: Family::new(SERIES_MAX) };
        registry.register(
            "tollgate_limits_shared",
            "Whether Redis counts requests for all nodes (1) or this process counts alone (0)",
            limits.shared.clone(),
        );
        registry.register(
            "tollgate_limits_fallbacks",
            "Requests counted in this process because Redis did not respond",
            limits.fallbacks.clone(),
        );
        registry.register("tollgate_limits_refused", "Requests over a rate limit", limits.refused.clone());
        limits
    }

    /// Counts a request that this limit refused.
    pub fn refuse(&self, limit: impl Into<LabelValue>) {
        self.refused.get_or_create(&LimitLabels { limit: limit.into() }).inc();
    }
}
