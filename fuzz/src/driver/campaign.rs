//! Runs all targets in turn: starts a session for each, watches it, and reports its result.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::scratch::Scratch;
use super::summary::{TargetSummary, report};
use super::{corpus, libfuzzer};
use crate::FuzzTarget;

/// A run that takes longer hangs, even on a busy machine.
const RUN_MAX: Duration = Duration::from_secs(60);
/// The maximum resident memory of a session; no input may need more.
const RESIDENT_BYTES_MAX: u64 = 1 << 30;
/// The time between two checks of a session.
const LOOK: Duration = Duration::from_millis(100);
/// The exit code of a session that stored a failing input.
pub const FINDING_EXIT_CODE: u8 = 101;

/// The source of inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// libFuzzer if a nightly toolchain and cargo-fuzz are installed, otherwise the mutator.
    Auto,
    /// The mutator, on stable Rust.
    Stable,
    /// libFuzzer, through `cargo +nightly fuzz`.
    Libfuzzer,
}

/// The options of one campaign.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The targets, in the order in which they run.
    pub targets: Vec<&'static FuzzTarget>,
    /// The time for all targets together.
    pub time: Duration,
    /// The seed of the mutator.
    pub seed: u64,
    /// The source of inputs.
    pub engine: Engine,
}

impl Campaign {
    /// Runs the campaign; `tell` receives each result as soon as its target ends.
    ///
    /// # Errors
    /// A session cannot start, or the build of libFuzzer's targets fails.
    pub fn run(&self, mut tell: impl FnMut(&TargetSummary)) -> anyhow::Result<Vec<TargetSummary>> {
        let share = self.time / u32::try_from(self.targets.len().max(1))?;
        let libfuzzer = match self.engine {
            Engine::Stable => false,
            Engine::Libfuzzer => true,
            Engine::Auto => libfuzzer::is_installed(),
        };
        if libfuzzer {
            libfuzzer::build()?;
        }
        let mut outcomes = Vec::new();
        for target in &self.targets {
            let outcome = if libfuzzer { libfuzzer::run(target, share)? } else { self.session(target, share)? };
            tell(&outcome);
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    #[expect(clippy::disallowed_methods, reason = "the duration of a session is reported")]
    fn session(&self, target: &'static FuzzTarget, time: Duration) -> anyhow::Result<TargetSummary> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("scratch");
        let finding = dir.path().join("finding");
        let scratch = Scratch::open(&path)?;
        let began = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["session", target.name, "--seed", &self.seed.to_string()])
            .args(["--ms", &time.as_millis().to_string()])
            .arg("--scratch")
            .arg(&path)
            .arg("--finding")
            .arg(&finding)
            .env("TMPDIR", dir.path())
            .spawn()
            .context("cannot start a session")?;
        let found = match watch(&mut child, &scratch)? {
            SessionEnd::Exit(status) if status.success() => None,
            SessionEnd::Exit(status) if status.code() == Some(i32::from(FINDING_EXIT_CODE)) => {
                Some(fs::read_to_string(&finding).context("cannot read the finding of a session")?)
            }
            SessionEnd::Exit(status) => match status.signal() {
                Some(signal) => Some(keep_failure(target, "crash", &scratch, &format!("ended by signal {signal}"))?),
                None => anyhow::bail!("the session of {} failed: {status}", target.name),
            },
            SessionEnd::Hang => Some(keep_failure(target, "hang", &scratch, "a run did not end")?),
            SessionEnd::Memory(bytes) => {
                Some(keep_failure(target, "memory", &scratch, &format!("used {bytes} bytes of memory"))?)
            }
        };
        Ok(TargetSummary { target: target.name, runs: scratch.runs(), time: began.elapsed(), found })
    }
}

/// The end of a session.
enum SessionEnd {
    Exit(ExitStatus),
    Hang,
    Memory(u64),
}

#[expect(clippy::disallowed_methods, reason = "an endless loop is recognized by its duration")]
fn watch(child: &mut Child, scratch: &Scratch) -> anyhow::Result<SessionEnd> {
    let mut runs = 0;
    let mut since = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(SessionEnd::Exit(status));
        }
        let now = scratch.runs();
        if now != runs {
            (runs, since) = (now, Instant::now());
        }
        let resident = resident_bytes(child.id());
        let end = match () {
            () if resident > RESIDENT_BYTES_MAX => Some(SessionEnd::Memory(resident)),
            () if since.elapsed() > RUN_MAX => Some(SessionEnd::Hang),
            () => None,
        };
        if let Some(end) = end {
            child.kill()?;
            child.wait()?;
            return Ok(end);
        }
        std::thread::sleep(LOOK);
    }
}

/// The resident memory of the process; 0 if it is unknown.
fn resident_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

fn keep_failure(target: &FuzzTarget, kind: &str, scratch: &Scratch, what: &str) -> anyhow::Result<String> {
    let path = corpus::keep(target.name, kind, &scratch.input())?;
    Ok(report(target.name, &path, what))
}
