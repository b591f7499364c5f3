//! The background jobs of a server: their specifications, those that need no store, and their metrics.

use std::sync::Arc;
use std::time::Duration;

use access::Clock;
use cluster::leases::cleanup;
use cluster::windows::responses;
use cluster::{JobClaims, heartbeat, last_use, leases, revision, shared_credentials, windows};
use jobs::{Job, JobError, JobOutcome, JobReport, JobReports, JobSpec, NextRun, Runner};
use ledger::{ingest, retention};
use meter::Meter;
use store::Node;
use telemetry::metrics::{JobLabels, JobRunLabels};
use telemetry::{Metrics, metrics};

use super::{certificates, clock_leaps, configuration, configuration_key, disks, readiness};

/// Every job. A server without a proxy, on SQLite or without Redis does not start all of them.
pub(crate) const ALL: [JobSpec; 30] = [
    discovery::health::SPEC,
    billing::close::SPEC,
    billing::collect::DUNNING,
    billing::books::RECEIPTS,
    CACHE_PURGES,
    certificates::SPEC,
    clock_leaps::SPEC,
    configuration::SPEC,
    configuration_key::SPEC,
    disks::SPEC,
    export::SPEC,
    heartbeat::SPEC,
    ingest::SPEC,
    discovery::SPEC,
    last_use::SPEC,
    cleanup::SPEC,
    leases::SPEC,
    billing::mail::SPEC,
    discovery::members::SPEC,
    METER_SWEEP,
    billing::collect::NOTIFICATIONS,
    billing::collect::RECONCILE,
    readiness::SPEC,
    windows::SPEC,
    responses::SPEC,
    retention::SPEC,
    revision::SPEC,
    shared_credentials::SPEC,
    otlp::SPEC,
    billing::webhook::SPEC,
];

/// Applies the purges of other processes. Each node polls every 250 ms, so that a purge is applied within this time plus a read.
pub(super) const CACHE_PURGES: JobSpec = JobSpec::every("cache_purges", Duration::from_millis(250));
/// Deletes the counts of used quotas of earlier days.
pub(super) const METER_SWEEP: JobSpec =
    JobSpec { first_after: SWEEP_EVERY, ..JobSpec::every("meter_sweep", SWEEP_EVERY) };

const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Used-up quotas are retained for this time, in case the clock jumps ahead and back.
const CLOCK_LEAPS: Duration = Duration::from_hours(48);

/// Returns a runner for the jobs of a node.
pub(super) fn runner(node: &Node) -> Runner {
    Runner::new(node.store().clock().clone(), Arc::new(JobClaims::new(node.clone())))
}

/// The job that deletes counts of the meter which no request needs any more.
#[derive(Debug, Clone)]
pub(super) struct MeterSweep {
    pub(super) meter: Arc<Meter>,
    pub(super) clock: Clock,
}

impl Job for MeterSweep {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        // The clock may have jumped ahead, and may return.
        self.meter.sweep(self.clock.now().before(CLOCK_LEAPS).day());
        Ok(NextRun::Period)
    }
}

/// Copies the reports of all jobs into the metrics at each scrape.
pub(super) fn watch(metrics: &Metrics, reports: JobReports) {
    metrics.on_scrape(Box::new(move |all| reports.all().iter().for_each(|report| show(all, report))));
}

fn show(all: &Metrics, report: &JobReport) {
    let labels = JobLabels { job: report.spec.name };
    for outcome in JobOutcome::ALL {
        let of = JobRunLabels { job: report.spec.name, outcome: outcome.as_str() };
        metrics::set_total(&all.jobs.runs.get_or_create(&of), report.runs(outcome));
    }
    all.jobs.running.get_or_create(&labels).set(i64::from(report.running_since.is_some()));
    if report.last_started_at.is_some() {
        all.jobs.duration.get_or_create(&labels).set(report.last_duration.as_secs_f64());
    }
    if let Some(at) = report.last_success_at {
        all.jobs.last_success.get_or_create(&labels).set(i64::try_from(at.unix_seconds()).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_listed_once_and_in_order_of_their_names() {
        let names = ALL.map(|spec| spec.name);
        assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    }
}
