//! Metrics of the export of usage events.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Metrics of the export of usage events; copied at scrape.
#[derive(Debug, Clone, Default)]
pub struct ExportMetrics {
    /// `tollgate_export_rows_total`: rows that the target has accepted.
    pub rows: Counter,
    /// `tollgate_export_skipped_rows_total`: rows that were removed before the target accepted them.
    pub skipped: Counter,
    /// `tollgate_export_damaged_total`: records, ranges of records and segments that could not be read.
    pub damaged: Counter,
    /// `tollgate_export_failures_total`: batches that the target did not accept, each attempt counted.
    pub failures: Counter,
    /// `tollgate_export_lag_seconds`: age of the oldest row that was read and not accepted; 0 without one.
    pub lag_seconds: Gauge,
    /// `tollgate_export_waiting_bytes`: bytes of ingested segments that wait for the target.
    pub waiting_bytes: Gauge,
}

impl ExportMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let export = Self::default();
        for (name, help, counter) in [
            ("tollgate_export_rows", "Rows that the target of the export has accepted", &export.rows),
            ("tollgate_export_skipped_rows", "Rows that were removed before the target accepted them", &export.skipped),
            ("tollgate_export_damaged", "Records that the export could not read", &export.damaged),
            ("tollgate_export_failures", "Batches that the target of the export did not accept", &export.failures),
        ] {
            registry.register(name, help, counter.clone());
        }
        for (name, help, gauge) in [
            (
                "tollgate_export_lag_seconds",
                "Age of the oldest row that the target has not accepted",
                &export.lag_seconds,
            ),
            (
                "tollgate_export_waiting_bytes",
                "Bytes of ingested segments that wait for the target",
                &export.waiting_bytes,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        export
    }
}
