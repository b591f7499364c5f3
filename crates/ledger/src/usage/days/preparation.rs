//! The job that prepares the figures of the current day, so that the first request for them reads few events.

use std::time::Duration;

use jobs::{Job, JobError, JobSpec, NextRun};

use super::day_figures::DayFigures;

/// Pause after the start of the process, in which clients are served first.
const FIRST_AFTER: Duration = Duration::from_secs(5);
/// Pause from the end of one run to the next.
const EVERY: Duration = Duration::from_secs(60);
/// Maximum duration of a run. After a start, it reads all events of the day.
const RUN_MAX: Duration = Duration::from_secs(600);

/// Each process with the admin API prepares its own figures.
pub const SPEC: JobSpec = JobSpec { first_after: FIRST_AFTER, run_max: RUN_MAX, ..JobSpec::every("day_sums", EVERY) };

/// Reads the new events of the current day into its sums.
#[derive(Debug, Clone)]
pub struct DayPreparation {
    figures: DayFigures,
}

impl DayPreparation {
    /// Returns the job for the figures that the admin API reads.
    #[must_use]
    pub const fn new(figures: DayFigures) -> Self {
        Self { figures }
    }
}

impl Job for DayPreparation {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        self.figures.prepare().await?;
        Ok(NextRun::Period)
    }
}
