//! The loop that repeats each job: pause, claim, run, report.

use std::any::Any;
use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use access::{Clock, Mono, Timestamp};
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::job::{Cancellation, Job, JobError, JobSpec, NextRun, Owner};
use crate::outage::{Outage, causes};
use crate::ownership::{CLAIM_TTL, ClaimEnd, FAILED_RENEWALS_MAX, Ownership, RENEW_EVERY};
use crate::report::{FinishedRun, JobOutcome, JobReports, ReportSlot};

/// The pause of a job for which nothing is configured, until it looks at the configuration again.
const IDLE_PERIOD: Duration = Duration::from_millis(500);
/// A job without work is claimed after this time, so that its last run is known.
const CLAIM_WITHOUT_WORK_EVERY: Duration = Duration::from_secs(30);

/// Runs jobs on the current Tokio runtime. All jobs end when this value is dropped.
pub struct Runner {
    clock: Clock,
    ownership: Arc<dyn Ownership>,
    reports: JobReports,
    tasks: JoinSet<()>,
    /// The name of the job of each task.
    names: HashMap<Id, &'static str>,
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
        Self::with(clock, ownership, JobReports::default())
    }

    /// Returns another runner with the same reports, for jobs that stop at another time.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self::with(self.clock.clone(), self.ownership.clone(), self.reports.clone())
    }

    fn with(clock: Clock, ownership: Arc<dyn Ownership>, reports: JobReports) -> Self {
        let (stop, _) = watch::channel(false);
        Self { clock, ownership, reports, tasks: JoinSet::new(), names: HashMap::new(), stop }
    }

    /// Starts a job. `build` builds it before its first run, and again after a run that panicked or was dropped, since the
    /// job may then be in any state.
    ///
    /// A second job with the same name is not started, and an error is logged.
    pub fn add<J: Job>(&mut self, spec: JobSpec, build: impl FnMut() -> J + Send + 'static) {
        if let Some(task) = JobTask::begin(spec, self.clock.clone(), self.ownership.clone(), &self.reports) {
            let stopped = stopped(self.stop.subscribe());
            let handle = self.tasks.spawn(task.repeat(build, stopped));
            self.names.insert(handle.id(), spec.name);
        }
    }

    /// Starts a job as [`add`](Self::add) does once `needed` ends. Until then, the job has no report, and no node claims it.
    pub fn add_when<J: Job>(
        &mut self,
        spec: JobSpec,
        needed: impl Future<Output = ()> + Send + 'static,
        build: impl FnMut() -> J + Send + 'static,
    ) {
        let clock = self.clock.clone();
        let ownership = self.ownership.clone();
        let reports = self.reports.clone();
        let stop = self.stop.subscribe();
        let handle = self.tasks.spawn(async move {
            let is_stopped = tokio::select! {
                biased;
                () = stopped(stop.clone()) => true,
                () = needed => false,
            };
            if is_stopped {
                return;
            }
            if let Some(task) = JobTask::begin(spec, clock, ownership, &reports) {
                task.repeat(build, stopped(stop)).await;
            }
        });
        self.names.insert(handle.id(), spec.name);
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
            while let Some(ended) = self.tasks.join_next_with_id().await {
                let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
                let job = self.names.remove(&id).unwrap_or_default();
                if let Err(error) = ended {
                    tracing::error!(job, %error, "a job's task failed");
                }
            }
        };
        if timeout(wait, ended).await.is_err() {
            let mut jobs: Vec<&str> = self.names.into_values().collect();
            jobs.sort_unstable();
            tracing::warn!(jobs = jobs.join(", "), "jobs did not end in time and were aborted");
        }
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the runner was dropped, and this task with it.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Pauses between two runs. A timer would take up to a millisecond even for no pause.
async fn rest(pause: Duration) {
    if pause.is_zero() { tokio::task::yield_now().await } else { sleep(pause).await }
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
    /// The time of the last response about a claim.
    asked_at: Option<Instant>,
}

/// The end of one attempt to run a job.
enum RunEnd {
    /// Another node owns the job, or no run is due.
    Unclaimed,
    /// A run would find no work.
    NoWork,
    /// Whether the job has work, or whether this node may claim it, is unknown.
    ClaimFailed(JobError),
    Finished(Result<NextRun, JobError>),
    TimedOut,
    Panicked(String),
}

impl JobTask {
    /// Returns the loop of a job; `None`, after a line in the log, if another one has its name.
    fn begin(spec: JobSpec, clock: Clock, ownership: Arc<dyn Ownership>, reports: &JobReports) -> Option<Self> {
        let Some(report) = reports.begin(spec) else {
            tracing::error!(job = spec.name, "a job with this name exists; the second one is not started");
            return None;
        };
        Some(Self { spec, clock, ownership, report, outage: Outage::new(spec.name), failures: 0, asked_at: None })
    }

    async fn repeat<J: Job>(mut self, mut build: impl FnMut() -> J, stopped: impl Future<Output = ()>) {
        tokio::pin!(stopped);
        let mut job = None;
        let mut pause = self.spec.first_after;
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                () = rest(pause) => {}
            }
            let started = (self.clock.now(), self.clock.mono());
            let end = match self.spec.cancellation {
                Cancellation::AfterRun => self.attempt(&mut job, &mut build).await,
                Cancellation::AtOnce => tokio::select! {
                    biased;
                    () = &mut stopped => {
                        self.report.dropped();
                        self.give_up_claim().await;
                        break;
                    }
                    end = self.attempt(&mut job, &mut build) => end,
                },
            };
            if matches!(end, RunEnd::TimedOut | RunEnd::Panicked(_)) {
                discard(&mut job);
            }
            pause = self.note(end, started).await;
        }
        let last = AssertUnwindSafe(async { job.unwrap_or_else(build).stop().await }).catch_unwind().await;
        match last {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(job = self.spec.name, %error, cause = causes(&*error), "the last work before the end failed");
            }
            Err(panic) => tracing::error!(job = self.spec.name, panic = text(&*panic), "panicked at its end"),
        }
    }

    /// Builds the job if it is missing, and runs it once. A panic in any of this ends the attempt only.
    async fn attempt<J: Job>(&mut self, job: &mut Option<J>, build: &mut impl FnMut() -> J) -> RunEnd {
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
    async fn run<J: Job>(&mut self, job: &mut J) -> RunEnd {
        if self.spec.owner == Owner::OneNode {
            let claimed = match self.needs_run(job).await {
                Ok(true) => in_time(self.ownership.claim(&self.spec)).await,
                Ok(false) => return RunEnd::NoWork,
                Err(error) => return RunEnd::ClaimFailed(error),
            };
            self.asked_at = Some(Instant::now());
            match claimed {
                Ok(true) => {}
                Ok(false) => return RunEnd::Unclaimed,
                Err(error) => return RunEnd::ClaimFailed(error),
            }
        }
        self.report.begun(self.clock.now());
        // Futures of runs are large (14 KiB), and each layer around one would copy it.
        let run = Box::pin(job.run());
        tokio::select! {
            ended = timeout(self.spec.run_max, run) => ended.map_or(RunEnd::TimedOut, RunEnd::Finished),
            lost = self.keep_claim() => lost,
        }
    }

    /// Returns whether the job is to be claimed: it has work, its last run failed, or it was not claimed for a while.
    async fn needs_run<J: Job>(&self, job: &mut J) -> Result<bool, JobError> {
        let is_recent = self.asked_at.is_some_and(|at| at.elapsed() < CLAIM_WITHOUT_WORK_EVERY);
        if self.failures > 0 || !is_recent { Ok(true) } else { in_time(job.has_work()).await }
    }

    /// Renews the claim of a run in progress. Returns only if the claim is lost, or cannot be renewed before it expires.
    async fn keep_claim(&self) -> RunEnd {
        if self.spec.owner == Owner::EachNode {
            return std::future::pending().await;
        }
        let mut failures = 0;
        loop {
            sleep(RENEW_EVERY).await;
            match in_time(self.ownership.renew(&self.spec)).await {
                Ok(true) => failures = 0,
                Ok(false) => {
                    tracing::warn!(job = self.spec.name, "another node owns the job now; the run was dropped");
                    return RunEnd::Unclaimed;
                }
                Err(_) => failures += 1,
            }
            if failures == FAILED_RENEWALS_MAX {
                return RunEnd::ClaimFailed("the claim on the job could not be renewed; the run was dropped".into());
            }
        }
    }

    /// Records and logs the end of an attempt that began at `started`, and returns the pause after it. A lasting failure
    /// is logged once, whether the claim fails, the run, or the end of the claim.
    async fn note(&mut self, end: RunEnd, started: (Timestamp, Mono)) -> Duration {
        let is_claimed = !matches!(end, RunEnd::ClaimFailed(_)) && self.spec.owner == Owner::OneNode;
        let (outcome, result) = match end {
            RunEnd::Unclaimed => {
                self.outage.leave();
                self.failures = 0;
                self.report.unclaimed();
                return self.spec.period.min(CLAIM_TTL);
            }
            RunEnd::NoWork => return self.spec.period,
            RunEnd::Finished(Ok(next)) => (JobOutcome::Succeeded, Ok(next)),
            RunEnd::Finished(Err(error)) | RunEnd::ClaimFailed(error) => (JobOutcome::Failed, Err(error)),
            RunEnd::TimedOut => {
                let seconds = self.spec.run_max.as_secs();
                (JobOutcome::TimedOut, Err(format!("the run took longer than {seconds} s and was dropped").into()))
            }
            RunEnd::Panicked(panic) => (JobOutcome::Panicked, Err(format!("the run panicked: {panic}").into())),
        };
        let pause = self.pause(outcome, result.as_ref().ok());
        let (started_at, started) = started;
        let ended_at = self.clock.now();
        let duration = self.clock.mono().since(started);
        let error = result.as_ref().err().map(|error| with_causes(&**error));
        let run = FinishedRun { started_at, ended_at, duration, outcome, error };
        self.report.finished(&run);
        let finished = if is_claimed { self.finish(ClaimEnd { run: Some(run), pause }).await } else { Ok(()) };
        match result.and(finished) {
            Ok(()) => self.outage.end(),
            Err(error) => self.outage.fail(&*error),
        }
        pause
    }

    /// Counts failures in a row, and returns the pause after a run.
    fn pause(&mut self, outcome: JobOutcome, next: Option<&NextRun>) -> Duration {
        self.failures = if next.is_some() { 0 } else { self.failures.saturating_add(1) };
        match next {
            Some(NextRun::Now) => Duration::ZERO,
            Some(NextRun::Period) => self.spec.period,
            Some(NextRun::Idle) => self.spec.period.max(IDLE_PERIOD),
            None if outcome == JobOutcome::Failed => self.spec.retry_pause(self.failures),
            None => self.spec.panic_pause(self.failures),
        }
    }

    /// Ends the claim, so that any node may run the job after the pause. After an error the claim expires by itself.
    async fn finish(&self, end: ClaimEnd) -> Result<(), JobError> {
        let finish = AssertUnwindSafe(in_time(self.ownership.finish(&self.spec, &end)));
        match finish.catch_unwind().await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(panic) => Err(format!("the end of the claim panicked: {}", text(&*panic)).into()),
        }
    }

    /// Ends the claim of a run that was dropped because the process stops, so that another node need not wait for its
    /// expiry.
    async fn give_up_claim(&self) {
        if self.spec.owner == Owner::OneNode
            && let Err(error) = self.finish(ClaimEnd { run: None, pause: Duration::ZERO }).await
        {
            let job = self.spec.name;
            tracing::warn!(job, %error, cause = causes(&*error), "the claim on the job expires by itself");
        }
    }
}

/// Waits for a response about a claim or about work, for a limited time.
async fn in_time(response: impl Future<Output = Result<bool, JobError>>) -> Result<bool, JobError> {
    timeout(RENEW_EVERY, response).await.unwrap_or_else(|_| Err("the claim on the job got no response in time".into()))
}

/// Returns the message of an error with those of its causes.
fn with_causes(error: &(dyn Error + Send + Sync)) -> String {
    let cause = causes(error);
    if cause.is_empty() { error.to_string() } else { format!("{error}: {cause}") }
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
