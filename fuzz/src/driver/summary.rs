//! The results of targets as text.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::corpus;

/// The result of one target. `Display` prints it as a row of the table.
#[derive(Debug, Clone)]
pub struct TargetSummary {
    /// The name of the target.
    pub target: &'static str,
    /// The number of runs.
    pub runs: u64,
    /// The duration of the runs, without the build.
    pub time: Duration,
    /// The failure, and the command that repeats it.
    pub found: Option<String>,
}

impl fmt::Display for TargetSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = u8::from(self.found.is_some());
        write!(f, "{:<16} {:>12} {:>9} {found:>9}", self.target, self.runs, rate(self.runs, self.time))?;
        self.found.iter().try_for_each(|found| write!(f, "\n  {found}"))
    }
}

/// The heading of the table.
pub const HEAD: &str = "target                   runs    runs/s  findings";

/// Runs per second, rounded down.
#[must_use]
pub fn rate(runs: u64, time: Duration) -> u64 {
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    runs.saturating_mul(1_000) / ms
}

/// The failure, the path of its input, and the command that repeats it.
#[must_use]
pub fn report(target: &str, path: &Path, what: &str) -> String {
    let root = corpus::root().parent().map(PathBuf::from).unwrap_or_default();
    let path = path.strip_prefix(&root).unwrap_or(path).display();
    format!("{what}\n  input: {path}\n  repeat: cargo run -p fuzz -- replay {target} {path}")
}
