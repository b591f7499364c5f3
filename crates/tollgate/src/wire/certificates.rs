//! The job that reads changed certificates, and their metrics.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use access::Clock;
use config::Live;
use jobs::{Job, JobError, JobSpec, NextRun};
use telemetry::Metrics;
use telemetry::metrics::CertificateLabels;
use tls::{CertificateState, ListenerTls, UpstreamTls};

/// Reads the files of certificates again, and uses those that have changed.
pub(super) const SPEC: JobSpec = JobSpec { first_after: EVERY, ..JobSpec::every("certificates", EVERY) };

const EVERY: Duration = Duration::from_secs(5);

/// The job over all listeners with TLS, and over the upstreams with TLS settings of the configuration in force.
#[derive(Debug, Clone)]
pub(super) struct CertificateReload {
    pub(super) listeners: Arc<[Arc<ListenerTls>]>,
    pub(super) live: Arc<Live>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
}

impl CertificateReload {
    /// Sets the metrics of the certificates as they are in use.
    pub(super) fn show(&self) {
        let listeners = self.listeners.iter().flat_map(|listener| listener.states());
        let upstreams: Vec<_> = self.upstreams().iter().flat_map(|upstream| upstream.states()).collect();
        set(&self.metrics, &listeners.chain(upstreams).collect::<Vec<_>>());
    }

    /// Returns the TLS of the upstreams of the configuration in force.
    fn upstreams(&self) -> Vec<Arc<UpstreamTls>> {
        self.live.load().traffic.tls().cloned().collect()
    }
}

/// Sets the metrics of all certificates in use, and removes those of others.
fn set(metrics: &Metrics, states: &[CertificateState]) {
    let labels =
        |state: &CertificateState| CertificateLabels { file: state.file.display().to_string().as_str().into() };
    let used: BTreeSet<CertificateLabels> = states.iter().map(labels).collect();
    metrics.tls.expiry.retain(|labels| used.contains(labels));
    metrics.tls.reload_failures.retain(|labels| used.contains(labels));
    for state in states {
        let labels = labels(state);
        if let Some(expires_at) = state.expires_at {
            metrics.tls.expiry.get_or_create(&labels).set(expires_at);
        }
        let failures = metrics.tls.reload_failures.get_or_create(&labels);
        if state.has_failed {
            failures.inc();
        }
    }
}

impl Job for CertificateReload {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let listeners = self.listeners.clone();
        let upstreams = self.upstreams();
        let now = self.clock.now();
        // A file system may be slow.
        let reload = move || {
            let listeners = listeners.iter().flat_map(|listener| listener.reload(now));
            listeners.chain(upstreams.iter().flat_map(|upstream| upstream.reload(now))).collect::<Vec<_>>()
        };
        set(&self.metrics, &tokio::task::spawn_blocking(reload).await?);
        Ok(NextRun::Period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_not_in_use_any_more_has_no_metrics() {
        let metrics = Metrics::new();
        let state =
            |file: &str| CertificateState { file: file.into(), expires_at: Some(1_893_456_000), has_failed: false };
        let names = || {
            let shown = metrics.encode();
            ["a.pem", "b.pem"].map(|file| shown.matches(&format!("{{file=\"{file}\"}}")).count())
        };
        set(&metrics, &[state("a.pem"), state("b.pem")]);
        assert_eq!(names(), [2, 2]);
        set(&metrics, &[state("b.pem")]);
        assert_eq!(names(), [0, 2]);
    }
}
