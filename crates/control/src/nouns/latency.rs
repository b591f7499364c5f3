//! Durations of the requests of this process, from its metrics.

use telemetry::Metrics;
use telemetry::metrics::{Histogram, HistogramCounts, RouteLabels};

/// Returns the durations of the requests of all routes that `chosen` accepts, from the head of the request to the end of the
/// response, since the start of the process.
pub(crate) fn of_routes(metrics: &Metrics, chosen: impl Fn(&RouteLabels) -> bool) -> HistogramCounts {
    let histograms = metrics.proxy.duration.all(chosen);
    let mut counts = HistogramCounts::default();
    histograms.iter().map(Histogram::counts).for_each(|more| counts.add(&more));
    counts
}
