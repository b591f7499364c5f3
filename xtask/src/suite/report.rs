//! What a run prints: failures as they occur, the slowest tests, flaky tests, and the sums.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;

use super::job::{Job, Outcome};

/// The file in which runs of tests list flaky tests; `scripts/step --summary` prints it.
const FLAKY: &str = "flaky.tsv";
/// The file with the duration of each job of the last run, the slowest first.
const DURATIONS: &str = "durations.tsv";
const SLOWEST: usize = 10;
/// The unit of CPU times in `/proc`: Linux's `USER_HZ` is 100.
const TICK_MS: u64 = 10;
/// A line about progress is printed at most this often.
const PROGRESS: Duration = Duration::from_secs(20);

/// The results of a run.
#[derive(Debug)]
pub(super) struct Report {
    folder: PathBuf,
    passed: usize,
    skipped: usize,
    /// Failed at first; [`Report::flaky`] and [`Report::failed`] then decide.
    pending: usize,
    failed: usize,
    flaky: usize,
    durations: Vec<(Duration, String)>,
    spoken: Instant,
    jobs: (usize, usize),
}

impl Report {
    /// Creates a report of `jobs` whose files are in `folder`.
    pub(super) fn new(folder: &Path, jobs: usize) -> anyhow::Result<Self> {
        fs::create_dir_all(folder.join("failed"))?;
        Ok(Self {
            folder: folder.to_owned(),
            passed: 0,
            skipped: 0,
            pending: 0,
            failed: 0,
            flaky: 0,
            durations: Vec::new(),
            spoken: Instant::now(),
            jobs: (0, jobs),
        })
    }

    /// Counts the result of a job, and prints progress and failures.
    pub(super) fn add(&mut self, job: &Job, outcome: &Outcome) -> anyhow::Result<()> {
        self.jobs.0 += 1;
        self.passed += outcome.passed;
        self.skipped += outcome.skipped;
        self.pending += outcome.failed.len();
        self.durations.push((outcome.duration, job.to_string()));
        for test in &outcome.failed {
            let job = job.again(test);
            self.note(&format!("{job}: failed after {}; it will run again, alone", seconds(outcome.duration)))?;
        }
        if self.spoken.elapsed() >= PROGRESS {
            self.spoken = Instant::now();
            let (done, all) = self.jobs;
            self.note(&format!(
                "{done} of {all} test processes, {} tests passed, {} failed",
                self.passed, self.pending
            ))?;
        }
        Ok(())
    }

    /// Prints one line at once.
    pub(super) fn note(&self, line: &str) -> anyhow::Result<()> {
        Ok(writeln!(std::io::stdout(), "{line}")?)
    }

    /// Reports a test that failed in `first` and passed in `second`.
    pub(super) fn flaky(&mut self, job: &Job, first: &str, second: &Outcome) -> anyhow::Result<()> {
        self.flaky += 1;
        self.passed += second.passed;
        let kept = self.keep(job, first, Some(second))?;
        let list = fs::File::options().create(true).append(true).open(self.folder.join(FLAKY));
        writeln!(list?, "{job}\t{}", kept.display())?;
        self.note(&format!("{job}: passed alone, so it is flaky; both outputs: {}", kept.display()))
    }

    /// Reports a failed test: its output, and that of its second run, if there was one.
    pub(super) fn failed(&mut self, job: &Job, first: &str, second: Option<&Outcome>) -> anyhow::Result<()> {
        self.failed += 1;
        let kept = self.keep(job, first, second)?;
        let last = second.map_or(first, |second| &second.output);
        self.note(&format!("\n---- {job}: failed\n{}\n---- outputs: {}", last.trim_end(), kept.display()))
    }

    /// Writes both outputs into one file, and returns its path.
    fn keep(&self, job: &Job, first: &str, second: Option<&Outcome>) -> anyhow::Result<PathBuf> {
        let name: String = job.to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let path = self.folder.join("failed").join(format!("{name}.log"));
        let mut text = format!("== first run\n{first}\n");
        if let Some(second) = second {
            write!(text, "== second run, alone\n{}\n", second.output)?;
        }
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Prints the sums and the slowest jobs.
    pub(super) fn finish(mut self, duration: Duration) -> anyhow::Result<ExitCode> {
        self.durations.sort_by(|a, b| b.cmp(a));
        let line = |(duration, job): &(Duration, String)| format!("{:.1}\t{job}\n", duration.as_secs_f64());
        let table: String = self.durations.iter().map(line).collect();
        fs::write(self.folder.join(DURATIONS), table)?;
        let slowest: Vec<String> = self
            .durations
            .iter()
            .take(SLOWEST)
            .map(|(duration, job)| format!("{job} {}", seconds(*duration)))
            .collect();
        self.note(&format!("slowest: {}", slowest.join(", ")))?;
        let verdict = if self.failed == 0 { "passed" } else { "failed" };
        let cpu = cpu_time().map_or_else(String::new, |time| format!(", with {} of CPU time", seconds(time)));
        self.note(&format!("{verdict} after {}{cpu}", seconds(duration)))?;
        // A run of CI reads this line.
        self.note(&format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped))?;
        Ok(if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Returns the CPU time of all processes that ended and were waited for, from Linux's `/proc/self/stat`.
fn cpu_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // After the name in brackets, which may have spaces, the fields are numbered from 3: `cutime` is 16, `cstime` 17.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks = |number: usize| fields.split(' ').nth(number - 3)?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks(16)? + ticks(17)?) * TICK_MS))
}

/// Formats a duration as seconds with one decimal.
fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
