//! `instructions`: the instructions per request that Tollgate executes in user space.
//!
//! Callgrind counts all threads of one process with one worker while requests follow each other on one connection. The
//! figure is the difference between two numbers of requests, so that constant work cancels out; background work per
//! second is measured without requests and subtracted. Periodic jobs remain, so the difference is measured several times.
//! Figures include no kernel time: they show the effect of a change, not the cost of a request.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::builder::PossibleValuesParser;
use tokio::time::{Instant, sleep};

use crate::client::PlainConnection;
use crate::counts::{drained, metric};
use crate::product::{MockProcess, Product, ProductStart};
use crate::rows::{self, Progress, Row, minutes};
use crate::run::{PlaceFlags, out_dir};
use crate::stats::MedianInterval;
use crate::tools::{BenchTool, ToolPaths};

/// The rows that can be counted.
const COUNTED: [&str; 4] = ["plain", "keyed", "sdk", "llm"];
/// The smaller number of requests.
const FEW: u32 = 300;
/// The number of differences per row. The figure is their median.
const REPEATS: u32 = 3;
/// The time in which the last events of a count are ingested. It is equal for both counts, so its constant work cancels
/// out.
const INGEST: Duration = Duration::from_secs(5);
/// The time in which background work is counted.
const BACKGROUND: Duration = Duration::from_secs(10);
/// The estimated duration of the start, and of one request.
const START: Duration = Duration::from_secs(20);
const REQUEST: Duration = Duration::from_millis(3);

#[derive(clap::Args, Clone)]
pub(crate) struct InstructionFlags {
    /// Rows to count, separated by commas; by default all
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(COUNTED))]
    only: Vec<String>,
    /// Requests of the difference
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    requests: u32,
    #[command(flatten)]
    places: PlaceFlags,
}

/// Counts and prints. A failed request is an error.
pub(crate) async fn run(flags: InstructionFlags) -> anyhow::Result<bool> {
    let tools =
        ToolPaths::find(&[BenchTool::Valgrind, BenchTool::CallgrindControl], flags.places.profile_dir.as_deref())?;
    let chosen = |row: &Row| {
        let rows = if flags.only.is_empty() { COUNTED.as_slice() } else { &[] };
        rows.contains(&row.name) || flags.only.iter().any(|name| name == row.name)
    };
    let chosen: Vec<Row> = rows::ROWS.into_iter().filter(chosen).collect();
    let each = REQUEST * (FEW + REPEATS * (FEW + FEW + flags.requests)) + INGEST * (1 + REPEATS * 2);
    let total = START + BACKGROUND + each * u32::try_from(chosen.len())?;
    println!("instructions of {} requests per row, about {}", flags.requests, minutes(total));
    let mut progress = Progress::begin(total);
    let (out, dir) = (out_dir(&flags.places.out)?, tempfile::tempdir()?);
    let mock = MockProcess::start(&tools.tollgate, &out, "mock").await?;
    let under = runner(&tools, &out)?;
    let data = dir.path().join("data");
    let start = ProductStart::new(&tools.tollgate, &data, &out, "tollgate");
    let product = ProductStart { workers: 1, under: &under, ..start }.run(mock.address).await?;
    let mut callgrind = Callgrind::begin(&tools, &product, &out)?;
    callgrind.zero()?;
    sleep(BACKGROUND).await;
    let background = callgrind.count()?;
    progress.step(START + BACKGROUND, "Tollgate runs under callgrind");
    let mut rows = Vec::new();
    for row in &chosen {
        let mut counting =
            RowCount { callgrind: &mut callgrind, product: &product, request: row.request.bytes(&product.key) };
        let found = counting.measure(&background, flags.requests).await.context(row.name)?;
        let figure = format!("{:.0} ({:.0} to {:.0})", found.median, found.low, found.high);
        progress.step(each, &format!("{}: {figure} instructions per request", row.name));
        rows.push(format!("| {} | {figure} | {} |", row.what, callgrind.last_file().display()));
    }
    println!(
        "\n| request | instructions, user space | counts (callgrind_annotate FILE) |\n|---|---|---|\n{}",
        rows.join("\n")
    );
    Ok(true)
}

/// One row: its request, and the process that counts.
struct RowCount<'a, 'b> {
    callgrind: &'a mut Callgrind<'b>,
    product: &'a Product,
    request: String,
}

impl RowCount<'_, '_> {
    /// The instructions per request: the difference between [`FEW`] requests and `more` than that, without
    /// `background`. As many requests precede without a count.
    async fn measure(&mut self, background: &InstructionCount, more: u32) -> anyhow::Result<MedianInterval> {
        let mut connection = PlainConnection::open(self.product.proxy).await?;
        self.send(&mut connection, FEW).await?;
        drained(self.product).await?;
        let mut found = Vec::new();
        for _ in 0..REPEATS {
            let few = self.count(&mut connection, FEW).await?;
            let many = self.count(&mut connection, FEW + more).await?;
            let difference = (many.without(background) - few.without(background)) / f64::from(more);
            ensure!(difference > 0.0, "more requests had fewer instructions: {few:?} {many:?} {background:?}");
            found.push(difference);
        }
        MedianInterval::of(found).context("no difference was measured")
    }

    async fn count(&mut self, connection: &mut PlainConnection, requests: u32) -> anyhow::Result<InstructionCount> {
        self.callgrind.zero()?;
        self.send(connection, requests).await?;
        let counted = self.callgrind.count()?;
        let left = metric(self.product, "tollgate_spool_bytes").await?;
        ensure!(left == 0, "{left} bytes of events were not ingested within {} s", INGEST.as_secs());
        Ok(counted)
    }

    async fn send(&self, connection: &mut PlainConnection, requests: u32) -> anyhow::Result<()> {
        for _ in 0..requests {
            connection.exchange(&self.request).await?;
        }
        sleep(INGEST).await;
        Ok(())
    }
}

impl InstructionCount {
    /// The instructions without background work, of which `background` is a sample.
    #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
    fn without(&self, background: &Self) -> f64 {
        let share = self.elapsed.as_secs_f64() / background.elapsed.as_secs_f64();
        self.instructions as f64 - background.instructions as f64 * share
    }
}

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
    use crate::request::RequestBody;

    #[test]
    fn background_work_is_subtracted_by_time() {
        let count = |instructions, seconds| {
            let elapsed = Duration::from_secs(seconds);
            InstructionCount { instructions, elapsed }
        };
        let found = count(5_000 + 300 * 32, 6).without(&count(1_000, 10));
        assert!((found - (5_000.0 + 300.0 * 32.0 - 600.0)).abs() < 1e-9, "{found}");
    }

    #[test]
    fn every_row_is_a_scenario_with_a_whole_response() {
        for row in COUNTED {
            let found = rows::ROWS.into_iter().find(|found| found.name == row);
            assert!(found.is_some_and(|row| row.request.body != RequestBody::Streamed), "{row}");
        }
    }

    #[test]
    fn the_total_is_the_first_event() {
        let file = "# callgrind format\nevents: Ir\nsummary: 7\n\nfn=(1) f\n1 30\n\ntotals: 123 4\n";
        assert_eq!(total(file), Some(123));
        assert_eq!(total("events: Ir\nsummary: 7\n"), None);
        assert_eq!(total("totals:\n"), None);
    }
}
