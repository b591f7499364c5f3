//! Metrics of backends. Each scrape reads them from the states of the backends, so a removed backend has no series.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::board::{BackendBoard, BackendStatus, FAILURE_CAUSES};
use super::family::LabelValue;
use super::histogram::HistogramCounts;

/// Maximum number of backends with series of their own. Further ones are counted as `other`.
const BACKENDS_MAX: usize = 1_000;
/// The results of health checks.
const RESULTS: [&str; 2] = ["succeeded", "failed"];

/// Reads the backends at each scrape.
#[derive(Debug)]
struct BackendCollector(Arc<BackendBoard>);

/// Labels of one backend of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct BackendLabels {
    /// The name of the upstream or provider in the configuration.
    upstream: LabelValue,
    /// The URL of the backend.
    backend: LabelValue,
}

/// Labels of the failures of one backend for one cause.
#[derive(Debug, EncodeLabelSet)]
struct FailureLabels {
    upstream: LabelValue,
    backend: LabelValue,
    cause: &'static str,
}

/// Labels of the health checks of one backend with one result.
#[derive(Debug, EncodeLabelSet)]
struct CheckLabels {
    upstream: LabelValue,
    backend: LabelValue,
    result: &'static str,
}

/// The values of one backend, or the sums of those that share their labels.
#[derive(Debug, Default)]
struct BackendValues {
    requests: u64,
    in_flight: u64,
    failures: [u64; FAILURE_CAUSES.len()],
    durations: HistogramCounts,
    broken: u64,
    openings: u64,
    ejected: u64,
    ejections: u64,
    unhealthy: u64,
    checks: [u64; RESULTS.len()],
}

/// Registers the metrics of backends, and returns where the backends are set.
pub(super) fn register(registry: &mut Registry) -> Arc<BackendBoard> {
    let board = Arc::new(BackendBoard::default());
    registry.register_collector(Box::new(BackendCollector(board.clone())));
    board
}

impl Collector for BackendCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let backends = by_labels(&self.0.backends().unwrap_or_default());
        if backends.is_empty() {
            return Ok(());
        }
        let mut metrics = BackendEncoder { encoder: &mut encoder, backends: &backends };
        metrics.counter("requests", "Requests for which a backend was chosen", |of| of.requests)?;
        metrics.gauge("requests_in_flight", "Requests in flight, by backend", |of| of.in_flight)?;
        metrics.failures()?;
        metrics.durations()?;
        metrics.gauge("breakers_open", "Circuit breakers that are open or half-open", |of| of.broken)?;
        metrics.counter("breaker_openings", "Openings of the circuit breaker of a backend", |of| of.openings)?;
        metrics.gauge("ejected", "Backends that are ejected", |of| of.ejected)?;
        metrics.counter("ejections", "Ejections of a backend", |of| of.ejections)?;
        metrics.gauge("unhealthy", "Backends that the health checks have found unhealthy", |of| of.unhealthy)?;
        metrics.checks()
    }
}

/// Returns the values by labels. Two URLs with the same beginning may share labels.
fn by_labels(statuses: &[BackendStatus]) -> BTreeMap<BackendLabels, BackendValues> {
    let mut backends: BTreeMap<BackendLabels, BackendValues> = BTreeMap::new();
    for status in statuses {
        let mut labels = BackendLabels { upstream: (&status.upstream).into(), backend: (&status.url).into() };
        if backends.len() >= BACKENDS_MAX && !backends.contains_key(&labels) {
            labels = BackendLabels { upstream: LabelValue::other(), backend: LabelValue::other() };
        }
        backends.entry(labels).or_default().add(status);
    }
    backends
}

impl BackendValues {
    fn add(&mut self, status: &BackendStatus) {
        self.requests += status.requests;
        self.in_flight += status.in_flight;
        self.failures.iter_mut().zip(status.failures).for_each(|(count, more)| *count += more);
        self.durations.add(&status.durations);
        self.broken += u64::from(status.is_broken);
        self.openings += status.openings;
        self.ejected += u64::from(status.is_ejected);
        self.ejections += status.ejections;
        self.unhealthy += u64::from(status.is_unhealthy);
        let checks = [status.checks_succeeded, status.checks_failed];
        self.checks.iter_mut().zip(checks).for_each(|(count, more)| *count += more);
    }
}

/// Writes metrics of all backends.
struct BackendEncoder<'a, 'b> {
    encoder: &'a mut DescriptorEncoder<'b>,
    backends: &'a BTreeMap<BackendLabels, BackendValues>,
}

impl BackendEncoder<'_, '_> {
    fn counter(&mut self, name: &str, help: &str, value: fn(&BackendValues) -> u64) -> Result<(), fmt::Error> {
        let name = format!("tollgate_backend_{name}");
        let mut metric = self.encoder.encode_descriptor(&name, &sentence(help), None, MetricType::Counter)?;
        for (labels, values) in self.backends {
            metric.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(&value(values), None)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: fn(&BackendValues) -> u64) -> Result<(), fmt::Error> {
        let name = format!("tollgate_backend_{name}");
        let mut metric = self.encoder.encode_descriptor(&name, &sentence(help), None, MetricType::Gauge)?;
        for (labels, values) in self.backends {
            metric.encode_family(labels)?.encode_gauge(&i64::try_from(value(values)).unwrap_or(i64::MAX))?;
        }
        Ok(())
    }

    fn durations(&mut self) -> Result<(), fmt::Error> {
        let help = sentence("Time from the first byte sent to a backend to the head of its response");
        let name = "tollgate_backend_duration_seconds";
        let mut metric = self.encoder.encode_descriptor(name, &help, None, MetricType::Histogram)?;
        for (labels, values) in self.backends {
            values.durations.encode(metric.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn failures(&mut self) -> Result<(), fmt::Error> {
        let help = sentence("Attempts to send a request to a backend that failed, by cause");
        let mut metric =
            self.encoder.encode_descriptor("tollgate_backend_failures", &help, None, MetricType::Counter)?;
        for (of, values) in self.backends {
            for (cause, count) in FAILURE_CAUSES.into_iter().zip(values.failures) {
                let BackendLabels { upstream, backend } = of.clone();
                let labels = FailureLabels { upstream, backend, cause };
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        Ok(())
    }

    fn checks(&mut self) -> Result<(), fmt::Error> {
        let help = sentence("Health checks of a backend");
        let mut metric = self.encoder.encode_descriptor("tollgate_backend_checks", &help, None, MetricType::Counter)?;
        for (of, values) in self.backends {
            for (result, count) in RESULTS.into_iter().zip(values.checks) {
                let BackendLabels { upstream, backend } = of.clone();
                let labels = CheckLabels { upstream, backend, result };
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        Ok(())
    }
}

/// Returns the help of a metric as the registry writes it: with a full stop.
fn sentence(help: &str) -> String {
    format!("{help}.")
}

#[cfg(test)]
mod tests;
