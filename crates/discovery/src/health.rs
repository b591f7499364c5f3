//! The job that checks the backends of upstreams, and the schedule of each.

pub mod probe;
mod script;
pub mod target;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use jobs::{Job, JobError, JobSpec, NextRun};
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, timeout};

pub use probe::Probe;
use target::CheckFailure;
pub use target::{CheckedEndpoint, CheckedScheme};

/// Begins the checks that are due. A run without one costs a comparison for each backend.
pub const SPEC: JobSpec = JobSpec::every("backend_health", Duration::from_millis(100));

/// Maximum number of checks at once. Further ones wait.
const RUNNING_MAX: usize = 256;
/// Maximum number of scripts at once. Each is at least one process.
const SCRIPTS_MAX: usize = 16;
/// The longest pause before a check while results have begun to differ from the state.
const CHANGING: Duration = Duration::from_secs(2);

/// The check of the backends of one upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRules {
    /// The request that each check sends.
    pub probe: Probe,
    /// The pause between checks.
    pub interval: Duration,
    /// Maximum time of one check.
    pub timeout: Duration,
    /// Failed checks in a row after which a backend is unhealthy.
    pub unhealthy_threshold: u32,
    /// Successful checks in a row after which it is healthy again.
    pub healthy_threshold: u32,
}

/// The result of a check.
#[derive(Debug, Clone)]
pub struct CheckResult {
    /// The reason for which the check failed; `None` if it succeeded.
    pub failure: Option<String>,
    /// Whether the backend is healthy now.
    pub is_healthy: bool,
}

/// A backend that is checked.
#[derive(Clone)]
pub struct CheckedBackend {
    /// The text that identifies the backend: its upstream, its URL, and its name if that is another.
    pub id: Arc<str>,
    /// The address to which checks connect.
    pub endpoint: CheckedEndpoint,
    /// The check, which all backends of the upstream share.
    pub check: Arc<CheckRules>,
    /// Gets each result; `None` after the backend is not checked any more.
    pub report: Arc<dyn Fn(Option<CheckResult>) + Send + Sync>,
}

/// Returns the backends of the current configuration.
type Targets = Arc<dyn Fn() -> Arc<[CheckedBackend]> + Send + Sync>;

/// The job over all backends with a check.
pub struct HealthChecks {
    targets: Targets,
    tls: Arc<ClientConfig>,
    schedules: HashMap<Arc<str>, Scheduled>,
    /// Checks that run, and replaced ones that are being aborted. Each returns the name of its backend.
    running: JoinSet<(Arc<str>, Result<(), CheckFailure>)>,
    /// A permit for each script whose program may be alive, of replaced checks too.
    scripts: Arc<Semaphore>,
    random: RandomState,
    begun: u64,
}

struct Scheduled {
    backend: CheckedBackend,
    state: HealthState,
    due: Instant,
    /// The check that runs.
    task: Option<AbortHandle>,
}

impl Scheduled {
    fn runs(&self, task: task::Id) -> bool {
        self.task.as_ref().is_some_and(|running| running.id() == task)
    }
}

/// The state of one backend, as its checks determine it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HealthState {
    /// The first check decides alone.
    Unknown,
    Healthy {
        failures: u32,
    },
    Unhealthy {
        successes: u32,
    },
}

impl HealthState {
    /// Returns the state after a check, and whether the results have begun to differ from it.
    fn after(self, has_failed: bool, check: &CheckRules) -> (Self, bool) {
        match (self, has_failed) {
            (Self::Unknown | Self::Healthy { .. }, false) => (Self::Healthy { failures: 0 }, false),
            (Self::Unknown | Self::Unhealthy { .. }, true) => (Self::Unhealthy { successes: 0 }, false),
            (Self::Healthy { failures }, true) if failures + 1 >= check.unhealthy_threshold => {
                (Self::Unhealthy { successes: 0 }, false)
            }
            (Self::Healthy { failures }, true) => (Self::Healthy { failures: failures + 1 }, true),
            (Self::Unhealthy { successes }, false) if successes + 1 >= check.healthy_threshold => {
                (Self::Healthy { failures: 0 }, false)
            }
            (Self::Unhealthy { successes }, false) => (Self::Unhealthy { successes: successes + 1 }, true),
        }
    }
}

impl HealthChecks {
    /// Creates the job. `tls` verifies the certificates of backends without settings of their own.
    #[must_use]
    pub fn new(targets: Targets, tls: Arc<ClientConfig>) -> Self {
        let (schedules, running, random) = Default::default();
        let scripts = Arc::new(Semaphore::new(SCRIPTS_MAX));
        Self { targets, tls, schedules, running, scripts, random, begun: 0 }
    }

    /// Takes over the configuration. The state of a backend remains if its check does not change; else a check that runs is
    /// aborted.
    fn follow(&mut self) {
        let targets = (self.targets)();
        let now = Instant::now();
        let checks: HashMap<&str, &CheckRules> = targets.iter().map(|target| (&*target.id, &*target.check)).collect();
        self.schedules.retain(|id, known| {
            let is_kept = checks.get(&**id).is_some_and(|check| **check == *known.backend.check);
            if !is_kept {
                if let Some(task) = &known.task {
                    task.abort();
                }
                (known.backend.report)(None);
            }
            is_kept
        });
        for target in targets.iter() {
            let new = || Scheduled { backend: target.clone(), state: HealthState::Unknown, due: now, task: None };
            let known = self.schedules.entry(target.id.clone()).or_insert_with(new);
            known.backend.clone_from(target);
        }
    }

    /// Begins the checks that are due, as far as the maxima allow: first those that have waited longest.
    fn begin_due(&mut self) {
        let now = Instant::now();
        let due = self.schedules.iter_mut().filter(|(_, known)| known.task.is_none() && known.due <= now);
        let mut due: Vec<(&Arc<str>, &mut Scheduled)> = due.collect();
        due.sort_by_key(|(_, known)| known.due);
        for (id, known) in due {
            if self.running.len() >= RUNNING_MAX {
                break;
            }
            let permit = match &known.backend.check.probe {
                Probe::Script(_) => match self.scripts.clone().try_acquire_owned() {
                    Ok(permit) => Some(permit),
                    // The script waits until another one has ended.
                    Err(_) => continue,
                },
                Probe::Tcp | Probe::Http { .. } | Probe::Grpc { .. } => None,
            };
            let id = id.clone();
            let endpoint = known.backend.endpoint.clone();
            let check = known.backend.check.clone();
            let tls = self.tls.clone();
            known.task = Some(self.running.spawn(async move {
                let checked = timeout(check.timeout, probe::check(&endpoint, &check.probe, &tls, permit)).await;
                (id, checked.unwrap_or(Err(CheckFailure::TimedOut)))
            }));
        }
    }

    /// Records the result of a check. The late result of one that a reload has replaced is dropped.
    fn record(&mut self, id: &str, task: task::Id, result: Result<(), CheckFailure>) {
        let pause_part = self.next_part();
        let Some(known) = self.schedules.get_mut(id).filter(|known| known.runs(task)) else { return };
        let check = &known.backend.check;
        let (state, is_changing) = known.state.after(result.is_err(), check);
        let pause = if is_changing { check.interval.min(CHANGING) } else { check.interval };
        known.state = state;
        known.task = None;
        known.due = Instant::now() + pause.mul_f64(pause_part);
        let is_healthy = matches!(state, HealthState::Healthy { .. });
        (known.backend.report)(Some(CheckResult { failure: result.err().map(|error| error.to_string()), is_healthy }));
    }

    /// Records a check without a result: a panic is a failed check, and the next one comes after the usual pause.
    fn record_end(&mut self, error: &JoinError) {
        // A reload has replaced the check.
        if error.is_cancelled() {
            return;
        }
        let of_task = self.schedules.iter().find(|(_, known)| known.runs(error.id())).map(|(id, _)| id.clone());
        let backend = of_task.as_deref().unwrap_or_default();
        tracing::error!(%error, backend, "a health check ended with an internal error");
        self.record(backend, error.id(), Err(CheckFailure::Internal));
    }

    /// Returns the part of a pause that is waited: it is only shortened, by up to a tenth, so that the checks of many backends
    /// do not come at once.
    fn next_part(&mut self) -> f64 {
        self.begun = self.begun.wrapping_add(1);
        1.0 - (self.random.hash_one(self.begun) % 1_000) as f64 / 10_000.0
    }
}

impl Job for HealthChecks {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        while let Some(ended) = self.running.try_join_next_with_id() {
            match ended {
                Ok((task, (id, result))) => self.record(&id, task, result),
                Err(error) => self.record_end(&error),
            }
        }
        self.follow();
        self.begin_due();
        Ok(if self.schedules.is_empty() && self.running.is_empty() { NextRun::Idle } else { NextRun::Period })
    }
}

impl fmt::Debug for HealthChecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthChecks").field("backends", &self.schedules.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
