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
    /// The start of the last run that ended; `None` before the first.
    pub last_started_at: Option<Timestamp>,
    /// The duration of the last run that ended.
    pub last_duration: Duration,
    /// The outcome of the last run that ended; `None` before the first.
    pub last_outcome: Option<JobOutcome>,
    /// The message of the last failure, if the last run failed.
    pub last_error: Option<String>,
    /// Runs that ended, by outcome: succeeded, failed, timed out, panicked.
    pub runs: [u64; 4],
    /// Whether another node owned the job when this node last tried to run it.
    pub is_elsewhere: bool,
}

impl JobReport {
    /// Returns the state of a job that has not run.
    #[must_use]
    pub const fn new(spec: JobSpec) -> Self {
        Self {
            spec,
            last_started_at: None,
            last_duration: Duration::ZERO,
            last_outcome: None,
            last_error: None,
            runs: [0; 4],
            is_elsewhere: false,
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

/// The end of one run.
#[derive(Debug)]
pub(crate) struct FinishedRun {
    pub(crate) started_at: Timestamp,
    pub(crate) duration: Duration,
    pub(crate) outcome: JobOutcome,
    pub(crate) error: Option<String>,
}

impl JobReports {
    /// Returns a copy of all reports, in the order in which jobs were added.
    #[must_use]
    pub fn all(&self) -> Vec<JobReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn add(&self, spec: JobSpec) -> ReportSlot {
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reports.push(JobReport::new(spec));
        ReportSlot { reports: self.clone(), index: reports.len() - 1 }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        let reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reports.iter().any(|report| report.spec.name == name)
    }
}

impl ReportSlot {
    pub(crate) fn finished(&self, run: FinishedRun) {
        self.change(|report| {
            report.add(run.outcome);
            report.last_started_at = Some(run.started_at);
            report.last_duration = run.duration;
            report.last_outcome = Some(run.outcome);
            report.last_error = run.error;
            report.is_elsewhere = false;
        });
    }

    pub(crate) fn is_elsewhere(&self) {
        self.change(|report| report.is_elsewhere = true);
    }

    fn change(&self, change: impl FnOnce(&mut JobReport)) {
        let mut reports = self.reports.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(report) = reports.get_mut(self.index) {
            change(report);
        }
    }
}
