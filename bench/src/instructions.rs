//! `instructions`: the instructions per request that Tollgate executes in user space.
//!
//! Callgrind counts all threads of one process with one worker while requests follow each other on one connection. The
//! figure is the difference between two numbers of requests, so that constant work cancels out; background work per
//! second is measured without requests and subtracted. Periodic jobs remain, so the difference is measured several times.
//! Figures include no kernel time: they show the effect of a change, not the cost of a request.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::builder::PossibleValuesParser;
use tokio::time::sleep;

use crate::callgrind::{Callgrind, InstructionCount, runner};
use crate::connection::PlainConnection;
use crate::counts::{drained, metric};
use crate::median::MedianInterval;
use crate::plan::{Progress, minutes};
use crate::product::{LIMITED, MockProcess, Product, ProductFiles, ServerSettings};
use crate::run::out_dir;
use crate::scenario::BenchScenario;
use crate::tools::{BenchTool, ToolPaths};

/// The rows that can be counted.
const ROWS: [&str; 4] = ["plain", "keyed", "sdk", "llm"];
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
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(ROWS))]
    only: Vec<String>,
    /// Requests of the difference
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    requests: u32,
    /// The folder of the binary `tollgate`; by default that of this binary
    #[arg(long)]
    profile_dir: Option<PathBuf>,
    /// The folder of callgrind's files
    #[arg(long, default_value = "bench/out")]
    out: PathBuf,
}

/// Counts and prints. A failed request is an error.
pub(crate) async fn run(flags: InstructionFlags) -> anyhow::Result<bool> {
    let tools = ToolPaths::find(&[BenchTool::Valgrind, BenchTool::CallgrindControl], flags.profile_dir.as_deref())?;
    let chosen = |scenario: &BenchScenario| {
        let rows = if flags.only.is_empty() { ROWS.as_slice() } else { &[] };
        rows.contains(&scenario.name) || flags.only.iter().any(|name| name == scenario.name)
    };
    let scenarios: Vec<BenchScenario> = BenchScenario::all().into_iter().filter(chosen).collect();
    let each = REQUEST * (FEW + REPEATS * (FEW + FEW + flags.requests)) + INGEST * (1 + REPEATS * 2);
    let total = START + BACKGROUND + each * u32::try_from(scenarios.len())?;
    println!("instructions of {} requests per row, about {}", flags.requests, minutes(total));
    let mut progress = Progress::begin(total);
    let (out, dir) = (out_dir(&flags.out)?, tempfile::tempdir()?);
    let mock = MockProcess::start(&tools.tollgate, &out).await?;
    let under = runner(&tools, &out)?;
    let server = ServerSettings { workers: 1, under: &under, ..ServerSettings::COMPARED };
    let (data, program, name) = (dir.path().join("data"), &tools.tollgate, "tollgate");
    let places = ProductFiles { program, data: &data, out: &out, name, url: None, limits: LIMITED, server };
    let product = Product::start(&places, mock.address).await?;
    let mut callgrind = Callgrind::begin(&tools, &product, &out)?;
    callgrind.zero()?;
    sleep(BACKGROUND).await;
    let background = callgrind.count()?;
    progress.step(START + BACKGROUND, "Tollgate runs under callgrind");
    let mut rows = Vec::new();
    for scenario in &scenarios {
        let mut counting =
            RowCount { callgrind: &mut callgrind, product: &product, request: scenario.request(&product.key) };
        let found = counting.measure(&background, flags.requests).await.context(scenario.name)?;
        let figure = format!("{:.0} ({:.0} to {:.0})", found.median, found.low, found.high);
        progress.step(each, &format!("{}: {figure} instructions per request", scenario.name));
        rows.push(format!("| {} | {figure} | {} |", scenario.what, callgrind.last_file().display()));
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

#[cfg(test)]
mod tests {
    use super::*;

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
        for row in ROWS {
            let scenario = BenchScenario::all().into_iter().find(|scenario| scenario.name == row);
            assert!(scenario.is_some_and(|scenario| !scenario.streamed), "{row}");
        }
    }
}
