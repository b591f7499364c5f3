//! Metrics of background jobs. Their names are a closed list, and so is the number of series.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::OTHER;
use super::family::{Family, MetricLabels};
use super::meter::Seconds;

/// Maximum number of jobs, and of their outcomes.
const JOBS_MAX: usize = 64;
const OUTCOMES_MAX: usize = 4;

/// Metrics of background jobs on this node; copied at scrape.
#[derive(Debug, Clone)]
pub struct JobMetrics {
    /// `tollgate_job_runs_total`: runs that ended, by outcome.
    pub runs: Family<JobRunLabels, Counter>,
    /// `tollgate_job_last_success_timestamp_seconds`: the end of the last run that succeeded.
    pub last_success: Family<JobLabels, Gauge>,
    /// `tollgate_job_duration_seconds`: the duration of the last run.
    pub duration: Family<JobLabels, Seconds>,
    /// `tollgate_job_running`: 1 during a run.
    pub running: Family<JobLabels, Gauge>,
}

/// The name of a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct JobLabels {
    /// The name, from a closed list.
    pub job: &'static str,
}

/// The name of a job, and an outcome of its runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct JobRunLabels {
    /// The name, from a closed list.
    pub job: &'static str,
    /// The outcome, from a closed list.
    pub outcome: &'static str,
}

impl MetricLabels for JobLabels {
    fn overflow(&self) -> Self {
        Self { job: OTHER }
    }
}

impl MetricLabels for JobRunLabels {
    fn overflow(&self) -> Self {
        Self { job: OTHER, outcome: self.outcome }
    }
}

impl JobMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let jobs = Self {
            runs: Family::new(JOBS_MAX * OUTCOMES_MAX),
            last_success: Family::new(JOBS_MAX),
            duration: Family::new(JOBS_MAX),
            running: Family::new(JOBS_MAX),
        };
        registry.register("tollgate_job_runs", "Runs of background jobs on this node", jobs.runs.clone());
        registry.register(
            "tollgate_job_last_success_timestamp_seconds",
            "End of the last run of a background job that succeeded on this node, in Unix time",
            jobs.last_success.clone(),
        );
        registry.register(
            "tollgate_job_duration_seconds",
            "Duration of the last run of a background job on this node",
            jobs.duration.clone(),
        );
        registry.register(
            "tollgate_job_running",
            "Whether a background job runs on this node (1) or pauses (0)",
            jobs.running.clone(),
        );
        jobs
    }
}
