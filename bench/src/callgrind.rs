//! Tollgate under callgrind, which counts the instructions that it executes in user space.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::Instant;

use crate::product::Product;
use crate::tools::{BenchTool, ToolPaths};

/// The beginning of the names of callgrind's files.
const FILE: &str = "callgrind.out";

/// A running process, its tool for commands, and the folder of its counts.
pub(crate) struct Callgrind<'a> {
    pub(crate) control: &'a Path,
    pub(crate) process: u32,
    pub(crate) dir: &'a Path,
    dumps: u32,
    /// The time of the last [`Callgrind::zero`].
    began: Instant,
}

/// The number of instructions between two commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InstructionCount {
    pub(crate) instructions: u64,
    pub(crate) elapsed: Duration,
}

/// The program with arguments that runs Tollgate; counting begins with [`Callgrind::begin`].
pub(crate) fn runner(tools: &ToolPaths, dir: &Path) -> anyhow::Result<Vec<String>> {
    Ok(vec![
        tools.path(BenchTool::Valgrind)?.display().to_string(),
        String::from("--tool=callgrind"),
        String::from("--instr-atstart=no"),
        format!("--callgrind-out-file={}", dir.join(FILE).display()),
    ])
}

impl<'a> Callgrind<'a> {
    /// Lets the process of `product` count.
    pub(crate) fn begin(tools: &'a ToolPaths, product: &Product, dir: &'a Path) -> anyhow::Result<Self> {
        let control = tools.path(BenchTool::CallgrindControl)?;
        let callgrind = Self { control, process: product.group.id(), dir, dumps: 0, began: Instant::now() };
        callgrind.command(&["--instr=on"])?;
        Ok(callgrind)
    }

    /// Sets the count to zero.
    pub(crate) fn zero(&mut self) -> anyhow::Result<()> {
        self.command(&["--zero"])?;
        self.began = Instant::now();
        Ok(())
    }

    /// Writes the count into a new file, and reads it.
    pub(crate) fn count(&mut self) -> anyhow::Result<InstructionCount> {
        let elapsed = self.began.elapsed();
        self.command(&["--dump"])?;
        self.dumps += 1;
        let file = self.last_file();
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let instructions = total(&text).with_context(|| format!("{} has no total", file.display()))?;
        Ok(InstructionCount { instructions, elapsed })
    }

    /// The file that lists the instructions of the last count by function.
    pub(crate) fn last_file(&self) -> PathBuf {
        self.dir.join(format!("{FILE}.{}", self.dumps))
    }

    fn command(&self, words: &[&str]) -> anyhow::Result<()> {
        let output = Command::new(self.control).args(words).arg(self.process.to_string()).output()?;
        let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(output.status.success() && printed.contains("OK"), "callgrind_control {words:?}: {printed}");
        Ok(())
    }
}

/// The instructions of a whole file: the first event of the line `totals:`.
fn total(file: &str) -> Option<u64> {
    let totals = file.lines().rev().find_map(|line| line.strip_prefix("totals:"))?;
    totals.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_first_event() {
        let file = "# callgrind format\nevents: Ir\nsummary: 7\n\nfn=(1) f\n1 30\n\ntotals: 123 4\n";
        assert_eq!(total(file), Some(123));
        assert_eq!(total("events: Ir\nsummary: 7\n"), None);
        assert_eq!(total("totals:\n"), None);
    }
}
