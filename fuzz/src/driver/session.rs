//! One target for some time, in a process that may die of it.

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

/// Of a worker's thread.
const STACK_BYTES: usize = 2 << 20;
/// Time on the processor of one run; targets take microseconds.
const RUN_MAX: Duration = Duration::from_secs(3);

/// What a session is to do.
#[derive(Debug, Clone)]
pub struct FuzzSession {
    /// How long.
    pub time: Duration,
    /// Of the mutator.
    pub seed: u64,
    /// Where it says what it does.
    pub scratch: PathBuf,
}

/// What a session found.
#[derive(Debug, Clone)]
pub struct FailingInput {
    /// Where its input is kept.
    pub path: PathBuf,
    /// What failed.
    pub what: String,
}

/// The last panic of any thread: where, and its words.
static PANIC: Mutex<Option<(String, String)>> = Mutex::new(None);

impl FuzzSession {
    /// Runs every kept input once and then new ones, until the time is over or something is found.
    ///
    /// # Errors
    /// When files cannot be read or written.
    pub fn run(self, target: &'static FuzzTarget) -> anyhow::Result<Option<FailingInput>> {
        panic::set_hook(Box::new(|info| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let words = info.payload_as_str().unwrap_or_default().to_owned();
            // The first one counts: a second one is what it led to.
            if let Ok(mut last) = PANIC.lock() {
                last.get_or_insert((place, words));
            }
        }));
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || self.search(target))?;
        thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the session itself panicked: {:?}", PANIC.lock())))
    }

    #[expect(clippy::disallowed_methods, reason = "how long it runs is what it was told")]
    fn search(self, target: &'static FuzzTarget) -> anyhow::Result<Option<FailingInput>> {
        let began = Instant::now();
        let seeds = corpus::read(target.name)?;
        let kept: Vec<Vec<u8>> = seeds.into_iter().map(|seed| seed.bytes).collect();
        let mut scratch = Scratch::open(&self.scratch)?;
        let mut mutator = Mutator::new(self.seed, target.words, target.bytes_max);
        let mut runs = 0;
        loop {
            let index = usize::try_from(runs).unwrap_or(usize::MAX);
            let input = kept.get(index).cloned().unwrap_or_else(|| mutator.make(&kept));
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

/// How a run failed; two with the same place are the same finding.
#[derive(Debug, Clone)]
struct RunFailure {
    kind: &'static str,
    place: String,
    words: String,
}

fn failed(target: &FuzzTarget, input: &[u8]) -> Option<RunFailure> {
    let before = processor_time();
    let ran = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = processor_time().saturating_sub(before);
    // A thread that the target started may have panicked without ending the run.
    let last = PANIC.lock().ok().and_then(|mut last| last.take());
    if ran.is_err() || last.is_some() {
        let (place, words) = last.unwrap_or_default();
        return Some(RunFailure { kind: "panic", place, words });
    }
    (took > RUN_MAX).then(|| RunFailure { kind: "slow", place: String::new(), words: format!("took {took:?}") })
}

fn finding(target: &FuzzTarget, input: Vec<u8>, first: &RunFailure) -> anyhow::Result<FailingInput> {
    let same = |bytes: &[u8]| failed(target, bytes).is_some_and(|failed| failed.place == first.place);
    let least = if first.kind == "panic" { shrink(input, same) } else { input };
    let path = corpus::keep(target.name, first.kind, &least)?;
    Ok(FailingInput { path, what: format!("{} {}", first.place, first.words) })
}

fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Runs one kept input as a session does, for whoever looks into it.
///
/// # Errors
/// When the file cannot be read.
pub fn replay(target: &FuzzTarget, file: &Path) -> anyhow::Result<()> {
    (target.run)(&std::fs::read(file)?);
    Ok(())
}
