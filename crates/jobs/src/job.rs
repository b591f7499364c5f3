//! A job, and the specification by which the runner repeats it.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

/// The error of one run. The runner logs it with its sources.
pub type JobError = Box<dyn Error + Send + Sync>;

/// A background job. The runner calls [`Job::run`] again and again until the process stops.
pub trait Job: Send + 'static {
    /// Does the work of one run, and returns when the next one is due. A run may be dropped at any await: at its maximum
    /// duration, if the node loses its claim, and with [`Cancellation::AtOnce`] when the process stops. Its next run continues
    /// from durable state. After a run that took too long or panicked, the job is built anew.
    ///
    /// # Errors
    /// Any error that a later run may not have; the runner reports it and repeats the run after a pause.
    fn run(&mut self) -> impl Future<Output = Result<NextRun, JobError>> + Send;

    /// Returns whether a run would find work. A job that one node runs at a time is asked before its claim, which writes
    /// to the store: without work, a node claims it only every half minute, so that its last run is known. The default is
    /// that there is work.
    ///
    /// # Errors
    /// Those of [`Job::run`].
    fn has_work(&mut self) -> impl Future<Output = Result<bool, JobError>> + Send {
        async { Ok(true) }
    }

    /// Does the last work before the process stops, such as writing buffered rows. It is called once, after the last
    /// run, which may have been dropped. The default does nothing.
    ///
    /// # Errors
    /// Any error; the runner logs it.
    fn stop(&mut self) -> impl Future<Output = Result<(), JobError>> + Send {
        async { Ok(()) }
    }
}

/// The time of a job's next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextRun {
    /// After the period of the job.
    Period,
    /// After half a second, or after the period if that is longer: nothing is configured for the job.
    Idle,
    /// At once: more work is waiting.
    Now,
}

/// The specification of a job.
#[derive(Debug, Clone, Copy)]
pub struct JobSpec {
    /// The unique name in logs, metrics and `tollgate jobs list`: lowercase words joined by `_`.
    pub name: &'static str,
    /// The pause from the end of one run to the next.
    pub period: Duration,
    /// The pause from the start of the process to the first run.
    pub first_after: Duration,
    /// The maximum duration of one run. A longer run is dropped and counts as a failure. [`Duration::MAX`] is no maximum,
    /// for runs that wait for work or that must not be dropped.
    pub run_max: Duration,
    /// The shortest and the longest pause after a failed run; the pause doubles with each failure in a row.
    pub retry: RetryPauses,
    /// The nodes that run the job.
    pub owner: Owner,
    /// The treatment of a run in progress when the process stops.
    pub cancellation: Cancellation,
}

/// The nodes that run a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Every node runs the job for itself.
    EachNode,
    /// One node of the cluster runs the job at a time.
    OneNode,
}

/// The treatment of a run in progress when the process stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// The run is dropped.
    AtOnce,
    /// The run continues to its end, for up to [`JobSpec::run_max`], and as long as the process waits for its jobs.
    AfterRun,
}

/// The pauses after failed runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPauses {
    /// The pause after the first failure. Zero is for jobs that pace themselves.
    pub first: Duration,
    /// The maximum pause after any failure.
    pub longest: Duration,
}

/// The shortest and the longest pause after a failed run, unless the period is shorter.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The shortest pause after a failed run of a job without a period.
const RETRY_SHORTEST: Duration = Duration::from_millis(100);

impl JobSpec {
    /// Returns a job of every node that starts at once and whose runs take up to a minute. After failures, it pauses for
    /// a second and then longer, but never longer than its period or a minute.
    #[must_use]
    pub const fn every(name: &'static str, period: Duration) -> Self {
        let bound = longer(period, RETRY_SHORTEST);
        Self {
            name,
            period,
            first_after: Duration::ZERO,
            run_max: Duration::from_secs(60),
            retry: RetryPauses { first: shorter(RETRY_MIN, bound), longest: shorter(RETRY_MAX, bound) },
            owner: Owner::EachNode,
            cancellation: Cancellation::AtOnce,
        }
    }

    /// Returns the pause after the given number of failures in a row (at least 1).
    #[must_use]
    pub fn retry_pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(6);
        self.retry.first.saturating_mul(2_u32.pow(doublings)).min(self.retry.longest)
    }

    /// Returns the pause after a panic, which may recur at once: at least a second, also for jobs that pace themselves.
    #[must_use]
    pub fn panic_pause(&self, failures: u32) -> Duration {
        self.retry_pause(failures).max(RETRY_MIN)
    }
}

/// `Ord::min` and `Ord::max` are not `const`.
const fn shorter(one: Duration, other: Duration) -> Duration {
    if one.as_nanos() < other.as_nanos() { one } else { other }
}

const fn longer(one: Duration, other: Duration) -> Duration {
    if one.as_nanos() < other.as_nanos() { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_pauses_double_up_to_a_minute_and_never_exceed_the_period() {
        let pauses = |period| {
            let spec = JobSpec::every("test", period);
            [1, 2, 3, 6, 7, 8, u32::MAX].map(|failures| spec.retry_pause(failures).as_millis())
        };
        assert_eq!(pauses(Duration::from_hours(1)), [1_000, 2_000, 4_000, 32_000, 60_000, 60_000, 60_000]);
        assert_eq!(pauses(Duration::from_secs(3)), [1_000, 2_000, 3_000, 3_000, 3_000, 3_000, 3_000]);
        assert_eq!(pauses(Duration::from_millis(250)), [250; 7]);
        assert_eq!(pauses(Duration::ZERO), [100; 7]);
    }
}
