//! Rate limits over sliding windows: the control API's, and that of callers without a valid key.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::family::{Family, LabelSet};

/// Limits have names of our own: there are few.
const SERIES_MAX: usize = 32;

/// Limits over sliding windows.
#[derive(Debug, Clone)]
pub struct WindowLimitMetrics {
    /// `tollgate_limits_shared`: 1 while they are counted in Redis. Set at scrape.
    pub shared: Gauge,
    /// `tollgate_limits_fallbacks_total`: calls that were counted in this process because Redis did not say. Set at scrape.
    pub fallbacks: Counter,
    /// `tollgate_limits_refused_total`.
    pub refused: Family<LimitLabels, Counter>,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct LimitLabels {
    /// Its name, of a closed list.
    pub limit: &'static str,
}

impl LabelSet for LimitLabels {
    fn overflow(&self) -> Self {
        Self { limit: super::OTHER }
    }
}

impl WindowLimitMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let limits = Self { shared: Gauge::default(), fallbacks: Counter::default(), refused: Family::new(SERIES_MAX) };
        registry.register(
            "tollgate_limits_shared",
            "Whether rate limits are shared through Redis",
            limits.shared.clone(),
        );
        registry.register(
            "tollgate_limits_fallbacks",
            "Calls counted in this process because Redis did not say",
            limits.fallbacks.clone(),
        );
        registry.register("tollgate_limits_refused", "Calls over a limit", limits.refused.clone());
        limits
    }

    /// Counts a call that this limit refused.
    pub fn refuse(&self, limit: &'static str) {
        self.refused.get_or_create(&LimitLabels { limit }).inc();
    }
}
