//! Metrics of the export of traces.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::exemplars::Exemplars;
use super::family::{Family, MetricLabels};
use crate::traces::TraceQueue;

/// Maximum number of reasons, which are a closed list.
const REASONS_MAX: usize = 8;

/// Metrics of the export of traces.
#[derive(Debug, Clone)]
pub struct TraceMetrics {
    /// `tollgate_traces_exported_total`: requests whose spans the receiver has accepted.
    pub exported: Counter,
    /// `tollgate_traces_dropped_total`: requests whose spans were not exported, by reason.
    pub dropped: Family<TraceDropLabels, Counter>,
    /// The exported requests that buckets of `tollgate_request_duration_seconds` show.
    pub exemplars: Exemplars,
    /// The queue, whose length is `tollgate_traces_waiting`.
    pub queue: TraceQueue,
}

/// The reason why the spans of a request were not exported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct TraceDropLabels {
    /// The reason, from a closed list.
    pub reason: &'static str,
}

impl MetricLabels for TraceDropLabels {
    fn overflow(&self) -> Self {
        Self { reason: super::OTHER }
    }
}

impl TraceMetrics {
    /// The queue was full.
    pub const QUEUE_FULL: &'static str = "queue_full";
    /// The receiver has refused the spans in a way that a repetition does not change.
    pub const REFUSED: &'static str = "refused";
    /// The receiver has rejected some spans of the batch, and accepted the others.
    pub const REJECTED: &'static str = "rejected";
    /// The process ended before the receiver accepted the spans.
    pub const ENDED: &'static str = "ended";

    pub(super) fn register(registry: &mut Registry) -> Self {
        let dropped = Family::new(REASONS_MAX);
        let reasons = [Self::QUEUE_FULL, Self::REFUSED, Self::REJECTED, Self::ENDED];
        let reasons = reasons.map(|reason| TraceDropLabels { reason });
        let [of_queue, ..] = reasons.map(|labels| dropped.get_or_create(&labels));
        let waiting = Gauge::default();
        registry.register("tollgate_traces_waiting", "Requests whose spans wait to be exported", waiting.clone());
        let exported = Counter::default();
        let exemplars = Exemplars::default();
        let queue = TraceQueue::new(of_queue, waiting);
        let traces = Self { exported, dropped, exemplars, queue };
        registry.register(
            "tollgate_traces_exported",
            "Requests whose spans the receiver of traces has accepted",
            traces.exported.clone(),
        );
        registry.register(
            "tollgate_traces_dropped",
            "Requests whose spans were not exported, by reason",
            traces.dropped.clone(),
        );
        traces
    }

    /// Counts requests whose spans were not exported.
    pub fn drop_for(&self, reason: &'static str, requests: usize) {
        let counter = self.dropped.get_or_create(&TraceDropLabels { reason });
        counter.inc_by(u64::try_from(requests).unwrap_or(u64::MAX));
    }
}
