//! One process of a test executable: all of its tests, or a single one.

use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;
use tokio::time::Instant;

use super::binary::Binary;

/// A process that takes longer hangs and is killed.
const TIMEOUT: Duration = Duration::from_secs(900);
/// The stack of a test's thread, as in `.cargo/config.toml`: futures that are not optimized are large.
const STACK_BYTES: &str = "8388608";

/// The database of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Database {
    Sqlite,
    Postgres,
}

/// A process to run.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) binary: Binary,
    pub(super) selection: Selection,
    pub(super) database: Database,
    /// The share of the slots of the pool; also the number of threads.
    pub(super) slots: usize,
}

/// The tests of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// All tests of the executable.
    All,
    /// The tests whose names contain one of these texts.
    ContainingAny(&'static [&'static str]),
    /// The tests whose names contain a text.
    Containing(String),
    /// One test, by its name.
    One(String),
    /// One test that failed before. Records about complete runs are not replaced.
    Again(String),
}

/// The folders that the jobs of a run use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    /// The folder of the outputs.
    pub(super) logs: &'a Path,
    /// The data folder with a migrated database, which tests of the binary copy. Its path is absolute.
    pub(super) migrated: &'a Path,
}

/// The result of a job.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    pub(super) passed: usize,
    pub(super) skipped: usize,
    /// The names of the tests that failed or did not end.
    pub(super) failed: Vec<String>,
    pub(super) output: String,
    pub(super) duration: Duration,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.binary.name)?;
        if let Some(test) = self.test() {
            write!(f, " {test}")?;
        }
        match self.database {
            Database::Sqlite => Ok(()),
            Database::Postgres => write!(f, " on PostgreSQL"),
        }
    }
}

impl Job {
    /// Whether the job reads what all other jobs have recorded.
    pub(super) fn needs_the_others(&self) -> bool {
        self.binary.name == "control/control_met"
    }

    /// The name of the only test of this job, if it has one.
    pub(super) fn test(&self) -> Option<&str> {
        match &self.selection {
            Selection::One(test) | Selection::Again(test) => Some(test),
            Selection::All | Selection::ContainingAny(_) | Selection::Containing(_) => None,
        }
    }

    /// The job that runs one failed test again; without a name, all tests of a process that ended early.
    pub(super) fn again(&self, test: &str) -> Self {
        if test.is_empty() {
            return self.clone();
        }
        Self { selection: Selection::Again(test.to_owned()), slots: 1, ..self.clone() }
    }

    /// Runs the process to its end, with its output in `log`; its tests copy the data folder `migrated`. If the future is
    /// dropped, or after [`TIMEOUT`], the process and all that it started are killed.
    pub(super) async fn run(&self, log: &Path, migrated: &Path) -> anyhow::Result<Outcome> {
        let began = Instant::now();
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = self.command(migrated);
        command.stdout(file.try_clone()?).stderr(file);
        let mut child = command.spawn().with_context(|| format!("cannot run {self}"))?;
        let group = ProcessGroup(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        let ended = tokio::time::timeout(TIMEOUT, child.wait()).await;
        drop(group);
        let output = String::from_utf8_lossy(&fs::read(log)?).into_owned();
        Ok(self.outcome(ended.ok().transpose()?, output, began.elapsed()))
    }

    fn command(&self, migrated: &Path) -> Command {
        let mut command = Command::new(&self.binary.path);
        command.current_dir(&self.binary.folder).stdin(Stdio::null()).process_group(0);
        command.env("CARGO_MANIFEST_DIR", &self.binary.folder).env("RUST_TEST_THREADS", self.slots.to_string());
        command.env("TOLLGATE_TEST_MIGRATED", migrated).env("RUST_MIN_STACK", STACK_BYTES);
        match &self.selection {
            Selection::All => {}
            Selection::ContainingAny(texts) => {
                command.args(*texts);
            }
            Selection::Containing(text) => {
                command.arg(text);
            }
            Selection::One(test) => {
                command.args(["--exact", test]);
            }
            Selection::Again(test) => {
                command.args(["--exact", test]).env("TOLLGATE_TEST_AGAIN", "1");
            }
        }
        if self.database == Database::Postgres {
            command.env("TOLLGATE_TEST_STORE", "postgres");
        }
        command
    }

    /// Reads the lines of the test harness. `status` is `None` after a timeout.
    fn outcome(&self, status: Option<ExitStatus>, mut output: String, duration: Duration) -> Outcome {
        let mut outcome = Outcome { duration, ..Outcome::default() };
        for line in output.lines() {
            let Some((test, result)) = line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... ")) else {
                continue;
            };
            let test = test.strip_suffix(" - should panic").unwrap_or(test);
            match result.split([',', ' ']).next() {
                Some("ok") => outcome.passed += 1,
                Some("FAILED") => outcome.failed.push(test.to_owned()),
                Some("ignored") => outcome.skipped += 1,
                _ => {}
            }
        }
        if !status.is_some_and(|status| status.success()) && outcome.failed.is_empty() {
            outcome.failed.push(self.unfinished());
        }
        if status.is_none() {
            output.push_str(&format!("\nkilled: it did not end within {} s\n", TIMEOUT.as_secs()));
        }
        outcome.output = output;
        outcome
    }

    /// Returns the failed test of a process that ended without a result: its only test, or an empty name for all tests.
    fn unfinished(&self) -> String {
        self.test().map(str::to_owned).unwrap_or_default()
    }
}

/// The processes that a job started; dropping the value kills those that are left.
struct ProcessGroup(Option<Pid>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Usually no process is left.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
