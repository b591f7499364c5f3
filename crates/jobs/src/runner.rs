//! The loop that repeats each job: pause, claim, run, report.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use access::Clock;
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::job::{Cancellation, Job, JobError, JobSpec, NextRun, Owner};
use crate::outage::{Outage, causes};
use crate::ownership::{CLAIM_TTL, FAILED_RENEWALS_MAX, Ownership, RENEW_EVERY};
use crate::report::{FinishedRun, JobOutcome, JobReports, ReportSlot};

/// Runs jobs on the current Tokio runtime. All jobs end when this value is dropped.
pub struct Runner {
    clock: Clock,
    ownership: Arc<dyn Ownership>,
    reports: JobReports,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("reports", &self.reports).finish_non_exhaustive()
    }
}

impl Runner {
    /// Returns a runner without jobs.
    #[must_use]
    pub fn new(clock: Clock, ownership: Arc<dyn Ownership>) -> Self {
        let (stop, _) = watch::channel(false);
        Self { clock, ownership, reports: JobReports::default(), tasks: JoinSet::new(), stop }
    }

    /// Starts a job. `build` builds it before its first run, and again after a run that panicked or was dropped, since the
    /// job may then be in any state.
    ///
    /// A second job with the same name is not started, and an error is logged.
    pub fn add<J: Job>(&mut self, spec: JobSpec, build: impl FnMut() -> J + Send + 'static) {
        if self.reports.has(spec.name) {
            tracing::error!(job = spec.name, "a job with this name exists; the second one is not started");
            return;
        }
        let task = JobTask {
            spec,
            clock: self.clock.clone(),
            ownership: self.ownership.clone(),
            report: self.reports.add(spec),
            outage: Outage::new(spec.name),
            failures: 0,
        };
        let stopped = stopped(self.stop.subscribe());
        self.tasks.spawn(task.repeat(build, stopped));
    }

    /// Returns the reports of all jobs.
    #[must_use]
    pub const fn reports(&self) -> &JobReports {
        &self.reports
    }

    /// Ends all jobs, and waits for the last work of each for up to `wait`.
    pub async fn stop(mut self, wait: Duration) {
        self.stop.send_replace(true);
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a job's task failed");
                }
            }
        };
        if timeout(wait, ended).await.is_err() {
            tracing::warn!(jobs = self.tasks.len(), "jobs did not end in time and were aborted");
        }
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the runner was dropped, and this task with it.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The loop of one job.
struct JobTask {
    spec: JobSpec,
    clock: Clock,
    ownership: Arc<dyn Ownership>,
    report: ReportSlot,
    outage: Outage,
    /// Failed runs since the last run that succeeded.
    failures: u32,
}

/// The end of one attempt to run a job.
enum RunEnd {
    /// Another node owns the job.
    Elsewhere,
    Finished(Result<NextRun, JobError>),
    TimedOut,
    Panicked(String),
}

impl JobTask {
    async fn repeat<J: Job>(mut self, mut build: impl FnMut() -> J, stopped: impl Future<Output = ()>) {
        tokio::pin!(stopped);
        let mut job = None;
        let mut pause = self.spec.first_after;
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                () = sleep(pause) => {}
            }
            let (started_at, started) = (self.clock.now(), self.clock.mono());
            let end = match self.spec.cancellation {
                Cancellation::AfterRun => self.attempt(&mut job, &mut build).await,
                Cancellation::AtOnce => tokio::select! {
                    biased;
                    () = &mut stopped => break,
                    end = self.attempt(&mut job, &mut build) => end,
                },
            };
            let duration = self.clock.mono().since(started);
            if !matches!(end, RunEnd::Finished(_)) {
                discard(&mut job);
            }
            pause = match self.note(end) {
                Some((outcome, error, pause)) => {
                    self.report.finished(FinishedRun { started_at, duration, outcome, error });
                    self.finish(pause).await;
                    pause
                }
                None => {
                    self.report.is_elsewhere();
                    self.spec.period.min(CLAIM_TTL)
                }
            };
        }
        let Some(mut job) = job else { return };
        let last = AssertUnwindSafe(async { job.stop().await }).catch_unwind().await;
        match last {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(job = self.spec.name, %error, cause = causes(&*error), "the last work before the end failed");
            }
            Err(panic) => tracing::error!(job = self.spec.name, panic = text(&*panic), "panicked at its end"),
        }
    }

    /// Builds the job if it is missing, and runs it once. A panic in any of this ends the attempt only.
    async fn attempt<J: Job>(&self, job: &mut Option<J>, build: &mut impl FnMut() -> J) -> RunEnd {
        let attempt = AssertUnwindSafe(async {
            let job = job.get_or_insert_with(&mut *build);
            self.run(job).await
        });
        match attempt.catch_unwind().await {
            Ok(end) => end,
            Err(panic) => RunEnd::Panicked(text(&*panic)),
        }
    }

    /// Runs the job once, if this node owns it.
    async fn run<J: Job>(&self, job: &mut J) -> RunEnd {
        if self.spec.owner == Owner::OneNode {
            match timeout(RENEW_EVERY, self.ownership.claim(self.spec.name, CLAIM_TTL)).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return RunEnd::Elsewhere,
                Ok(Err(error)) => return RunEnd::Finished(Err(error)),
                Err(_) => return RunEnd::Finished(Err("the claim on the job got no response in time".into())),
            }
        }
        tokio::select! {
            ended = timeout(self.spec.run_max, job.run()) => ended.map_or(RunEnd::TimedOut, RunEnd::Finished),
            lost = self.keep_claim() => lost,
        }
    }

    /// Lets any node run the job again after `pause`. If that fails, the claim expires by itself.
    async fn finish(&self, pause: Duration) {
        if self.spec.owner == Owner::OneNode {
            let finish = AssertUnwindSafe(timeout(RENEW_EVERY, self.ownership.finish(self.spec.name, pause)));
            if !matches!(finish.catch_unwind().await, Ok(Ok(Ok(_)))) {
                tracing::warn!(job = self.spec.name, "the claim on the job could not be ended; it expires by itself");
            }
        }
    }

    /// Renews the claim of a run in progress. Returns only if the claim is lost, or cannot be renewed before it expires.
    async fn keep_claim(&self) -> RunEnd {
        if self.spec.owner == Owner::EachNode {
            return std::future::pending().await;
        }
        let mut failures = 0;
        loop {
            sleep(RENEW_EVERY).await;
            match timeout(RENEW_EVERY, self.ownership.claim(self.spec.name, CLAIM_TTL)).await {
                Ok(Ok(true)) => failures = 0,
                Ok(Ok(false)) => {
                    tracing::warn!(job = self.spec.name, "another node owns the job now; the run was dropped");
                    return RunEnd::Elsewhere;
                }
                Ok(Err(_)) | Err(_) => failures += 1,
            }
            if failures == FAILED_RENEWALS_MAX {
                return RunEnd::Finished(Err("the claim on the job could not be renewed; the run was dropped".into()));
            }
        }
    }

    /// Logs the end of a run, and returns its outcome, its error and the pause after it; `None` if another node owns the
    /// job. An earlier outage on this node is then forgotten.
    fn note(&mut self, end: RunEnd) -> Option<(JobOutcome, Option<String>, Duration)> {
        let (outcome, error) = match end {
            RunEnd::Elsewhere => {
                (self.outage, self.failures) = (Outage::new(self.spec.name), 0);
                return None;
            }
            RunEnd::Finished(Ok(next)) => {
                self.failures = 0;
                self.outage.end();
                let pause = if next == NextRun::Now { Duration::ZERO } else { self.spec.period };
                return Some((JobOutcome::Succeeded, None, pause));
            }
            RunEnd::Finished(Err(error)) => (JobOutcome::Failed, error),
            RunEnd::TimedOut => {
                let seconds = self.spec.run_max.as_secs();
                (JobOutcome::TimedOut, format!("the run took longer than {seconds} s and was dropped").into())
            }
            RunEnd::Panicked(panic) => (JobOutcome::Panicked, format!("the run panicked: {panic}").into()),
        };
        self.outage.fail(&*error);
        self.failures = self.failures.saturating_add(1);
        let cause = causes(&*error);
        let message = if cause.is_empty() { error.to_string() } else { format!("{error}: {cause}") };
        Some((outcome, Some(message), self.spec.retry_pause(self.failures)))
    }
}

/// Drops a job whose state is unknown; its `Drop` may panic.
fn discard<J>(job: &mut Option<J>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(job.take()))) {
        tracing::error!(panic = text(&*panic), "a job panicked while it was dropped");
    }
}

/// Returns the message of a panic.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests;
