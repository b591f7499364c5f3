//! Metrics of the system's clock.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Metrics of the system's clock.
#[derive(Debug, Clone)]
pub struct ClockMetrics {
    /// `tollgate_clock_leaps_total`: leaps of the clock.
    pub leaps: Counter,
    /// `tollgate_clock_ahead_seconds`: the difference of the clock to the time in use.
    pub ahead_seconds: Gauge,
}

impl ClockMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let clock = Self { leaps: Counter::default(), ahead_seconds: Gauge::default() };
        registry.register(
            "tollgate_clock_leaps",
            "Leaps of the system's clock by two minutes or more",
            clock.leaps.clone(),
        );
        registry.register(
            "tollgate_clock_ahead_seconds",
            "Difference of the system's clock to the time in use, while a leap is not accepted",
            clock.ahead_seconds.clone(),
        );
        clock
    }
}
