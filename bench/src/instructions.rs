//! `instructions`: the instructions per request that Tollgate executes in user space.
//!
//! Callgrind counts the threads of one process with one worker while requests follow each other on one connection. A
//! figure is the difference between two numbers of requests, so that constant work cancels out. That of the worker's
//! thread repeats almost exactly, and has a bound. That of all threads includes the ingest of events; background work per
//! second is measured without requests and subtracted, and periodic jobs remain, so it is measured several times.
//! Figures include no kernel time: they show the effect of a change, not the cost of a request.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::builder::PossibleValuesParser;
use tokio::time::{Instant, sleep};

use crate::client::PlainConnection;
use crate::counts::{drained, metric};
use crate::plan::{PlaceFlags, Progress, minutes};
use crate::product::{MockProcess, Product, ProductStart};
use crate::rows::Row;
use crate::run::out_dir;
use crate::stats::MedianInterval;
use crate::tools::ToolPaths;

/// The rows that can be counted, with the bound of the worker's thread. A count of a build without link-time optimization
/// may exceed it.
const COUNTED: [(&str, Option<f64>); 4] =
    [("plain", Some(22_900.0)), ("keyed", Some(32_000.0)), ("sdk", None), ("llm", None)];
/// A function that only the worker's thread calls.
const OF_WORKER: &str = "proxy::connection::http1::serve";
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
/// The patience with a process that valgrind runs.
const PATIENCE: Duration = Duration::from_secs(300);
const HEADER: &str = "
| request | worker's thread | bound | all threads | counts (callgrind_annotate FILE) |
|---|---|---|---|---|";
/// The beginning of the names of callgrind's files.
const FILE: &str = "callgrind.out";

#[derive(clap::Args, Clone)]
pub(crate) struct InstructionFlags {
    /// Rows to count, separated by commas; by default all
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(COUNTED.map(|(name, _)| name)))]
    only: Vec<String>,
    /// Requests of the difference
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    requests: u32,
    #[command(flatten)]
    places: PlaceFlags,
}

/// Counts and prints. Returns whether the bounds hold. A failed request is an error.
pub(crate) async fn run(flags: InstructionFlags) -> anyhow::Result<bool> {
    let tools = ToolPaths::find(&["valgrind", "callgrind_control"], flags.places.profile_dir.as_deref())?;
    let is_chosen = |(name, _): &(&str, _)| flags.only.is_empty() || flags.only.iter().any(|chosen| chosen == name);
    let chosen: Vec<_> = COUNTED.into_iter().filter(is_chosen).collect();
    let each = REQUEST * (FEW + REPEATS * (FEW + FEW + flags.requests)) + INGEST * (1 + REPEATS * 2);
    let total = START + BACKGROUND + each * u32::try_from(chosen.len())?;
    println!("instructions of {} requests per row, about {}", flags.requests, minutes(total));
    let mut progress = Progress::begin(total);
    let (out, dir) = (out_dir(&flags.places.out)?, tempfile::tempdir()?);
    let mock = MockProcess::start(&tools.tollgate, &out, "mock").await?;
    let under = [
        tools.path("valgrind")?.display().to_string(),
        String::from("--tool=callgrind"),
        String::from("--instr-atstart=no"),
        String::from("--separate-threads=yes"),
        format!("--callgrind-out-file={}", out.join(FILE).display()),
    ];
    let data = dir.path().join("data");
    let start = ProductStart::new(&tools.tollgate, &data, &out, "tollgate");
    let product = ProductStart { workers: 1, under: &under, patience: PATIENCE, ..start }.run(mock.address).await?;
    let control = tools.path("callgrind_control")?;
    let mut callgrind = Callgrind { control, product: &product, dir: &out, dumps: 0, began: Instant::now() };
    callgrind.command("--instr=on")?;
    callgrind.zero()?;
    sleep(BACKGROUND).await;
    let background = callgrind.count()?;
    progress.step(START + BACKGROUND, "Tollgate runs under callgrind");
    let (mut rows, mut holds) = (Vec::new(), true);
    for (name, bound) in chosen {
        let row = Row::of(name).context("internal error: no such row")?;
        let request = row.request.bytes(&product.key);
        let [of_worker, of_all] = callgrind.measure(&request, &background, flags.requests).await.context(name)?;
        let [worker, all] = [of_worker, of_all].map(|of| format!("{:.0} ({:.0} to {:.0})", of.median, of.low, of.high));
        progress.step(each, &format!("{name}: {worker} instructions per request on the worker's thread"));
        let is_missed = bound.is_some_and(|bound| of_worker.median > bound);
        holds &= !is_missed;
        let judged = if is_missed { "missed" } else { "met" };
        let verdict = bound.map(|bound| format!("at most {bound}: {judged}")).unwrap_or_default();
        let files = callgrind.last_files().display().to_string();
        rows.push(format!("| {} | {worker} | {verdict} | {all} | {files} |", row.what));
    }
    println!("{HEADER}\n{}", rows.join("\n"));
    Ok(holds)
}

/// A running process, its tool for commands, and the folder of its counts.
struct Callgrind<'a> {
    control: &'a Path,
    product: &'a Product,
    dir: &'a Path,
    dumps: u32,
    /// The time of the last [`Callgrind::zero`].
    began: Instant,
}

/// The number of instructions between two commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InstructionCount {
    /// Those of the thread that serves requests.
    worker: u64,
    /// Those of all threads.
    all: u64,
    elapsed: Duration,
}

impl Callgrind<'_> {
    /// The instructions per request, of the worker's thread and of all threads: the difference between [`FEW`] requests
    /// and `more` than that. From that of all threads, `background` is subtracted. As many requests precede without a count.
    async fn measure(
        &mut self,
        request: &str,
        background: &InstructionCount,
        more: u32,
    ) -> anyhow::Result<[MedianInterval; 2]> {
        let mut connection = PlainConnection::open(self.product.proxy).await?;
        send(&mut connection, request, FEW).await?;
        drained(self.product).await?;
        let (mut of_worker, mut of_all) = (Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            let mut counts = Vec::new();
            for requests in [FEW, FEW + more] {
                self.zero()?;
                send(&mut connection, request, requests).await?;
                counts.push(self.count()?);
                let left = metric(self.product, "tollgate_spool_bytes").await?;
                ensure!(left == 0, "{left} bytes of events were not ingested within {} s", INGEST.as_secs());
            }
            let [few, many] = counts.try_into().ok().context("internal error: two counts")?;
            let all = (many.without(background) - few.without(background)) / f64::from(more);
            ensure!(
                all > 0.0 && many.worker > few.worker,
                "more requests had fewer instructions: {few:?} {many:?} {background:?}"
            );
            of_worker.push(as_float(many.worker - few.worker) / f64::from(more));
            of_all.push(all);
        }
        let median = |found| MedianInterval::of(found).context("no difference was measured");
        Ok([median(of_worker)?, median(of_all)?])
    }

    /// Sets the count to zero.
    fn zero(&mut self) -> anyhow::Result<()> {
        self.command("--zero")?;
        self.began = Instant::now();
        Ok(())
    }

    /// Writes the counts into new files, one for each thread, and reads them.
    fn count(&mut self) -> anyhow::Result<InstructionCount> {
        let elapsed = self.began.elapsed();
        self.command("--dump")?;
        self.dumps += 1;
        let (prefix, mut threads) = (format!("{FILE}.{}-", self.dumps), Vec::new());
        for entry in std::fs::read_dir(self.dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                threads.push(std::fs::read_to_string(entry.path())?);
            }
        }
        let files = self.last_files();
        InstructionCount::read(&threads, elapsed).with_context(|| format!("{} lack a total", files.display()))
    }

    /// The files that list the instructions of the last count by function, one for each thread.
    fn last_files(&self) -> PathBuf {
        self.dir.join(format!("{FILE}.{}-*", self.dumps))
    }

    fn command(&self, word: &str) -> anyhow::Result<()> {
        let output = Command::new(self.control).args([word, &self.product.group.id().to_string()]).output()?;
        let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(output.status.success() && printed.contains("OK"), "callgrind_control {word}: {printed}");
        Ok(())
    }
}

/// Sends requests one after the other, and waits until their events are ingested.
async fn send(connection: &mut PlainConnection, request: &str, requests: u32) -> anyhow::Result<()> {
    for _ in 0..requests {
        connection.exchange(request).await?;
    }
    sleep(INGEST).await;
    Ok(())
}

impl InstructionCount {
    /// The instructions of all threads without background work, of which `background` is a sample.
    fn without(&self, background: &Self) -> f64 {
        let share = self.elapsed.as_secs_f64() / background.elapsed.as_secs_f64();
        as_float(self.all) - as_float(background.all) * share
    }

    /// Reads the counts of the threads, each of which is the text of a file.
    fn read(threads: &[String], elapsed: Duration) -> Option<Self> {
        let totals: Vec<u64> = threads.iter().map(|file| total(file)).collect::<Option<_>>()?;
        let serves = threads.iter().zip(&totals).filter(|(file, _)| file.contains(OF_WORKER));
        Some(Self { worker: serves.map(|(_, total)| total).sum(), all: totals.iter().sum(), elapsed })
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^52")]
const fn as_float(instructions: u64) -> f64 {
    instructions as f64
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
        let count = |all, seconds| InstructionCount { worker: 0, all, elapsed: Duration::from_secs(seconds) };
        let found = count(5_000 + 300 * 32, 6).without(&count(1_000, 10));
        assert!((found - (5_000.0 + 300.0 * 32.0 - 600.0)).abs() < 1e-9, "{found}");
    }

    #[test]
    fn every_row_is_a_scenario_with_a_whole_response() {
        for (name, _) in COUNTED {
            assert!(Row::of(name).is_some_and(|row| row.request.body != RequestBody::Streamed), "{name}");
        }
    }

    #[test]
    fn the_worker_is_the_thread_that_serves_and_the_total_is_the_first_event() {
        let worker = format!("events: Ir\nfn=(7) {OF_WORKER}::{{{{closure}}}}\n\ntotals: 40 4\n");
        let found = InstructionCount::read(&[worker, "fn=(7) main\ntotals: 2\n".to_owned()], Duration::ZERO).unwrap();
        assert_eq!((found.worker, found.all), (40, 42));
        for file in ["fn=(7) main\n", "events: Ir\nsummary: 7\n", "totals:\n"] {
            assert_eq!(InstructionCount::read(&[file.to_owned()], Duration::ZERO), None, "{file}");
        }
    }
}
