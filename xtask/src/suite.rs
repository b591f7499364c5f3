//! Runs the tests of the workspace: many at once, each failure once more alone, with the duration of every test.
//!
//! A test that fails and then passes alone is flaky: the run succeeds and reports it, with both outputs kept.

mod binary;
mod job;
mod parts;
mod pool;
mod report;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use binary::Binary;
use job::{Job, Outcome, Places};
use parts::Part;
use report::Report;

/// Tests of whole processes mostly wait, so more of them run than there are cores: on two cores four beside the two threads
/// of one executable.
const BESIDE_EACH_CORE: usize = 3;
/// The memory for each slot: for a test with its servers, clients and databases.
const SLOT_MB: usize = 600;
/// Fewer slots than this would leave the processor idle.
const SLOTS_MIN: usize = 3;
/// The beginning of the name of the data folder that tests of the binary copy, in the folder of results.
const MIGRATED: &str = "migrated-";
/// More failures than this have one cause, which a second run would only repeat.
const RERUNS_MAX: usize = 20;

/// Runs the parts that `words` name (all, without a name), of which only tests whose names contain the filter after
/// `--` are selected.
pub(crate) fn run(words: &[&str], root: &Path) -> anyhow::Result<ExitCode> {
    let mut halves = words.split(|word| *word == "--");
    let parts = parts::named(halves.next().unwrap_or_default())?;
    let filter = halves.next().and_then(|filter| filter.first()).copied();
    let folder = target(root).join("tests");
    let binaries = binary::build(root)?;
    std::fs::create_dir_all(&folder)?;
    // Each run has its own: another one may run in the same build folder.
    let migrated = tempfile::Builder::new().prefix(MIGRATED).tempdir_in(&folder)?;
    prepare_databases(&target(root).join("debug/tollgate"), migrated.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // A signal drops the running jobs, which kills their processes.
        tokio::select! {
            ended = run_parts(&parts, &binaries, filter, &folder, migrated.path()) => ended,
            _ = interrupt.recv() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    })
}

/// Applies all migrations to a SQLite database in `data`, and to the database that PostgreSQL copies for each new one. A test
/// then starts with the tables, which take several times as long to create as to copy. Tests of the migrations begin with an
/// empty folder, or copy `template0`, which stays empty.
fn prepare_databases(tollgate: &Path, data: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(tollgate);
    migrate(command.args(["migrate", "up", "--data"]).arg(data).env_remove("DATABASE_URL"))?;
    let Ok(server) = std::env::var("TOLLGATE_TEST_POSTGRES") else { return Ok(()) };
    let (base, _) = server.rsplit_once('/').context("TOLLGATE_TEST_POSTGRES names no database")?;
    let mut command = Command::new(tollgate);
    migrate(command.args(["migrate", "up"]).env("DATABASE_URL", format!("{base}/template1")))
}

fn migrate(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(output.status.success(), "tollgate migrate up: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The folder of build outputs.
fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder))
}

/// Returns the number of slots for this many cores and this memory, if it is known.
fn slots(cores: usize, available_mb: Option<usize>) -> usize {
    let by_memory = available_mb.map_or(usize::MAX, |memory| memory / SLOT_MB);
    (cores * BESIDE_EACH_CORE).min(by_memory).max(SLOTS_MIN)
}

/// Returns the memory that is left beside a run with all slots of the machine's cores.
pub(crate) fn spare_mb() -> Option<usize> {
    let cores = std::thread::available_parallelism().ok()?.get();
    available_mb()?.checked_sub(slots(cores, None) * SLOT_MB)
}

/// Returns the memory that processes may take without swapping, from Linux's `/proc/meminfo`.
fn available_mb() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: usize = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024)
}

async fn run_parts(
    parts: &[Part],
    binaries: &[Binary],
    filter: Option<&str>,
    folder: &Path,
    migrated: &Path,
) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let slots = slots(std::thread::available_parallelism()?.get(), available_mb());
    let mut jobs = Vec::new();
    for part in parts {
        jobs.extend(part.jobs(binaries, filter, slots).await?);
    }
    ensure!(!jobs.is_empty(), "no test is selected");
    parts::longest_first(&mut jobs);
    let mut report = Report::new(folder, jobs.len())?;
    let (last, first): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(Job::needs_the_others);
    let logs = tempfile::tempdir()?;
    let places = Places { logs: logs.path(), migrated };
    let mut failed = Vec::new();
    for jobs in [first, last] {
        let mut ended = |job: Job, outcome: Outcome| {
            failed.extend(outcome.failed.iter().map(|test| (job.again(test), outcome.output.clone())));
            report.add(&job, &outcome)
        };
        pool::run(jobs, slots, places, &mut ended).await?;
    }
    rerun(failed, &mut report, places).await?;
    report.finish(began.elapsed())
}

/// Runs each failed test alone.
async fn rerun(failed: Vec<(Job, String)>, report: &mut Report, places: Places<'_>) -> anyhow::Result<()> {
    if failed.len() > RERUNS_MAX {
        report.note(&format!("{} tests failed; none of them runs again", failed.len()))?;
        return failed.into_iter().try_for_each(|(job, first)| report.failed(&job, &first, None));
    }
    for (job, first) in failed {
        let second = job.run(&places.logs.join("again.log"), places.migrated).await?;
        if second.failed.is_empty() && second.passed > 0 {
            report.flaky(&job, &first, &second)?;
        } else {
            report.failed(&job, &first, Some(&second))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_and_memory_limit_the_slots_of_which_there_are_at_least_three() {
        assert_eq!(slots(2, None), 6);
        assert_eq!(slots(2, Some(64_000)), 6);
        assert_eq!(slots(16, Some(12_000)), 20);
        assert_eq!(slots(2, Some(2_999)), 4);
        assert_eq!(slots(2, Some(500)), 3);
        assert_eq!(slots(1, None), 3);
    }
}
