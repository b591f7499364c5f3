//! The state of each job, for metrics and operators.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::Timestamp;

use crate::job::JobSpec;

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOutcome {
    /// The run did its work.
    Succeeded,
    /// The run returned an error.
    Failed,
    /// The run took longer than its maximum duration and was dropped.
    TimedOut,
    /// The run panicked; the job was built anew.
    Panicked,
}

impl JobOutcome {
    /// All outcomes that a run may have.
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::TimedOut, Self::Panicked];

    /// Returns the outcome as one word, for metrics and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Panicked => "panicked",
        }
    }
}

/// The state of one job on this node.
#[derive(Debug, Clone)]
pub struct JobReport {
    /// The specification of the job.
    pub spec: JobSpec,
    /// The start of the run in progress; `None` between runs.
    pub running_since: Option<Timestamp>,
    /// The start of the last run that ended; `None` before the first.
    pub last_started_at: Option<Timestamp>,
    /// The duration of the last run that ended.
    pub last_duration: Duration,
    /// The outcome of the last run that ended; `None` before the first.
    pub last_outcome: Option<JobOutcome>,
    /// The message of the last failure, if the last run failed.
    pub last_error: Option<String>,
    /// The end of the last run that succeeded.
    pub last_success_at: Option<Timestamp>,
    /// Runs that ended, by outcome: succeeded, failed, timed out, panicked.
    pub runs: [u64; 4],
    /// Whether this node got no claim when it last tried: another node has it, or no run is due.
    pub is_unclaimed: bool,
}

impl JobReport {
    /// Returns the state of a job that has not run.
    #[must_use]
    pub const fn new(spec: JobSpec) -> Self {
        Self {
            spec,
            running_since: None,
            last_started_at: None,
            last_duration: Duration::ZERO,
            last_outcome: None,
            last_error: None,
            last_success_at: None,
            runs: [0; 4],
            is_unclaimed: false,
        }
    }

    /// Returns the number of runs that ended with `outcome`.
    #[must_use]
    pub const fn runs(&self, outcome: JobOutcome) -> u64 {
        let [succeeded, failed, timed_out, panicked] = self.runs;
        match outcome {
            JobOutcome::Succeeded => succeeded,
            JobOutcome::Failed => failed,
            JobOutcome::TimedOut => timed_out,
            JobOutcome::Panicked => panicked,
        }
    }

    const fn add(&mut self, outcome: JobOutcome) {
        let [succeeded, failed, timed_out, panicked] = &mut self.runs;
        let runs = match outcome {
            JobOutcome::Succeeded => succeeded,
            JobOutcome::Failed => failed,
            JobOutcome::TimedOut => timed_out,
            JobOutcome::Panicked => panicked,
        };
        *runs = runs.saturating_add(1);
    }
}

/// The reports of all jobs of a runner. Clones refer to the same reports.
#[derive(Debug, Clone, Default)]
pub struct JobReports(Arc<Mutex<Vec<JobReport>>>);

/// One job's place among the reports.
#[derive(Debug, Clone)]
pub(crate) struct ReportSlot {
    reports: JobReports,
    index: usize,
}

/// A run that ended.
#[derive(Debug, Clone)]
pub struct FinishedRun {
    /// The start of the run by this node's clock.
    pub started_at: Timestamp,
    /// The end of the run by this node's clock.
    pub ended_at: Timestamp,
    /// The duration of the run.
    pub duration: Duration,
    /// The outcome of the run.
    pub outcome: JobOutcome,
    /// The error with its causes, if the run failed.
    pub error: Option<String>,
}

impl JobReports {
    /// Returns a copy of all reports, in the order in which jobs were added.
    #[must_use]
    pub fn all(&self) -> Vec<JobReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds the report of a job; `None` if a job with this name exists.
    pub(crate) fn begin(&self, spec: JobSpec) -> Option<ReportSlot> {
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reports.iter().any(|report| report.spec.name == spec.name) {
            return None;
        }
        reports.push(JobReport::new(spec));
        Some(ReportSlot { reports: self.clone(), index: reports.len() - 1 })
    }
}

impl ReportSlot {
    pub(crate) fn begun(&self, at: Timestamp) {
        self.change(|report| (report.running_since, report.is_unclaimed) = (Some(at), false));
    }

    pub(crate) fn finished(&self, run: &FinishedRun) {
        self.change(|report| {
            report.add(run.outcome);
            report.running_since = None;
            report.last_started_at = Some(run.started_at);
            report.last_duration = run.duration;
            report.last_outcome = Some(run.outcome);
            report.last_error.clone_from(&run.error);
            if run.outcome == JobOutcome::Succeeded {
                report.last_success_at = Some(run.ended_at);
            }
        });
    }

    pub(crate) fn unclaimed(&self) {
        self.change(|report| (report.running_since, report.is_unclaimed) = (None, true));
    }

    /// Records that the process stops, and with it the run in progress.
    pub(crate) fn dropped(&self) {
        self.change(|report| report.running_since = None);
    }

    fn change(&self, change: impl FnOnce(&mut JobReport)) {
        let mut reports = self.reports.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(report) = reports.get_mut(self.index) {
            change(report);
        }
    }
}
