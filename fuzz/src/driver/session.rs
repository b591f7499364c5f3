//! Fuzzes one target for some time, in a process that may crash.

use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::corpus;
use super::mutate::Mutator;
use super::scratch::Scratch;
use super::shrink::shrink;
use crate::FuzzTarget;

/// The stack of a session's thread, as large as that of a worker.
const STACK_BYTES: usize = 2 << 20;
/// The maximum processor time of one run; a target usually takes microseconds.
const RUN_MAX: Duration = Duration::from_secs(3);

/// The options of one session.
#[derive(Debug, Clone)]
pub struct FuzzSession {
    /// The duration of the session.
    pub time: Duration,
    /// The seed of the mutator.
    pub seed: u64,
    /// The path of the scratch file.
    pub scratch: PathBuf,
}

/// An input that fails.
#[derive(Debug, Clone)]
pub struct FailingInput {
    /// The path of the stored input.
    pub path: PathBuf,
    /// A description of the failure.
    pub what: String,
}

/// The first unread panic of any thread: its place and its message.
static PANIC: Mutex<Option<(String, String)>> = Mutex::new(None);

impl FuzzSession {
    /// Runs every stored input once, then new inputs, until the time is over or one fails.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn run(self, target: &'static FuzzTarget) -> anyhow::Result<Option<FailingInput>> {
        panic::set_hook(Box::new(|info| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let message = info.payload_as_str().unwrap_or_default().to_owned();
            // Only the first panic counts: it causes the later ones.
            if let Ok(mut last) = PANIC.lock() {
                last.get_or_insert((place, message));
            }
        }));
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || self.search(target))?;
        thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the session itself panicked: {:?}", PANIC.lock())))
    }

    #[expect(clippy::disallowed_methods, reason = "the session runs for a given time")]
    fn search(self, target: &'static FuzzTarget) -> anyhow::Result<Option<FailingInput>> {
        let began = Instant::now();
        let seeds = corpus::read(target.name)?;
        let inputs: Vec<Vec<u8>> = seeds.into_iter().map(|seed| seed.bytes).collect();
        let mut scratch = Scratch::open(&self.scratch)?;
        let mut mutator = Mutator::new(self.seed, target.words, target.bytes_max);
        let mut runs = 0;
        loop {
            let index = usize::try_from(runs).unwrap_or(usize::MAX);
            let input = inputs.get(index).cloned().unwrap_or_else(|| mutator.make(&inputs));
            runs += 1;
            scratch.note(runs, &input)?;
            if let Some(failed) = failed(target, &input) {
                return finding(target, input, &failed).map(Some);
            }
            if began.elapsed() >= self.time {
                return Ok(None);
            }
        }
    }
}

/// A failure of a run; failures at the same place are the same finding.
#[derive(Debug, Clone)]
struct RunFailure {
    kind: &'static str,
    place: String,
    message: String,
}

fn failed(target: &FuzzTarget, input: &[u8]) -> Option<RunFailure> {
    let before = processor_time();
    let ran = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = processor_time().saturating_sub(before);
    // A thread of the target may have panicked without a failure of the run.
    let last = PANIC.lock().ok().and_then(|mut last| last.take());
    if ran.is_err() || last.is_some() {
        let (place, message) = last.unwrap_or_default();
        return Some(RunFailure { kind: "panic", place, message });
    }
    (took > RUN_MAX).then(|| RunFailure { kind: "slow", place: String::new(), message: format!("took {took:?}") })
}

fn finding(target: &FuzzTarget, input: Vec<u8>, first: &RunFailure) -> anyhow::Result<FailingInput> {
    let same = |bytes: &[u8]| failed(target, bytes).is_some_and(|failed| failed.place == first.place);
    let least = if first.kind == "panic" { shrink(input, same) } else { input };
    let path = corpus::keep(target.name, first.kind, &least)?;
    Ok(FailingInput { path, what: format!("{} {}", first.place, first.message) })
}

fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Runs one stored input like a session, for debugging.
///
/// # Errors
/// The file cannot be read.
pub fn replay(target: &FuzzTarget, file: &Path) -> anyhow::Result<()> {
    (target.run)(&std::fs::read(file)?);
    Ok(())
}
