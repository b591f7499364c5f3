//! `instructions`: the instructions per request that Tollgate executes in user space.
//!
//! Callgrind counts the threads of one process with one worker while requests follow each other on one connection. A
//! figure is the difference between two numbers of requests, so that constant work cancels out. That of the worker's
//! thread repeats almost exactly, and has a bound. That of all threads includes the ingest of events; background work per
//! second is measured without requests and subtracted, and periodic jobs remain, so it is measured several times.
//! Figures include no kernel time: they show the effect of a change, not the cost of a request. With `--max`, the worker's
//! thread is compared with recorded figures. The ingest of LLM events runs on other threads, which are not compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::builder::PossibleValuesParser;
use http_body_util::{BodyExt as _, Empty};
use tokio::time::{Instant, sleep};

use crate::client::PlainConnection;
use crate::counts::{drained, metric};
use crate::fake::FakeServer;
use crate::plan::{PlaceFlags, Progress, minutes};
use crate::product::{MockProcess, Product, ProductStart, ServerConfig};
use crate::request::{BenchRequest, RequestBody};
use crate::rows::Row;
use crate::run::out_dir;
use crate::stats::MedianInterval;
use crate::tools::ToolPaths;

/// The rows that can be counted, with the bound of the worker's thread. A count of a build without link-time optimization
/// may exceed it.
const COUNTED: [(&str, Option<f64>); 7] = [
    ("plain", Some(22_900.0)),
    ("keyed", Some(32_000.0)),
    (LIMITED, None),
    ("sdk", None),
    ("hit", None),
    ("llm", None),
    (STREAM, None),
];
/// The counted row that is not one of the comparison, and the one whose events are counted instead of requests.
const LIMITED: &str = "limited";
const STREAM: &str = "stream";
/// The events of a stream, about. A row of streams has fewer requests by this factor.
const STREAM_EVENTS: u32 = 100;
/// A recorded figure may be exceeded by this factor. How many events of a stream arrive together depends on the time.
const TOLERANCE: f64 = 1.03;
const STREAM_TOLERANCE: f64 = 1.1;
/// glibc's bounds of freed memory, which `serve` sets by executing itself again. Callgrind does not follow it, so they are set before.
const MEMORY_BOUNDS: [&str; 2] = ["MALLOC_MMAP_THRESHOLD_=1048576", "MALLOC_TRIM_THRESHOLD_=4194304"];
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
    /// Compares the worker's thread with the figures of this file: it is an error if a row costs 3% more, an event 10%
    #[arg(long, value_name = "FILE")]
    max: Option<PathBuf>,
    /// Writes the figures into that file instead
    #[arg(long, requires = "max")]
    record: bool,
    /// Exports traces of this share of the requests, such as `0%`; without it, none are configured
    #[arg(long, value_name = "SHARE", conflicts_with = "max")]
    traces: Option<String>,
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
    let out = out_dir(&flags.places.out)?;
    let dir = tempfile::tempdir()?;
    let mock = MockProcess::start(&tools.tollgate, &out, "mock").await?;
    let [blocks, heap_end] = MEMORY_BOUNDS.map(String::from);
    let under = [
        String::from("env"),
        blocks,
        heap_end,
        tools.path("valgrind")?.display().to_string(),
        String::from("--tool=callgrind"),
        String::from("--instr-atstart=no"),
        String::from("--separate-threads=yes"),
        format!("--callgrind-out-file={}", out.join(FILE).display()),
    ];
    let data = dir.path().join("data");
    // It runs in this process, which is not counted.
    let receiver = FakeServer::start(|_| Empty::new().boxed_unsync()).await?;
    let sections = flags.traces.as_ref().map(|share| ServerConfig::traces(share, receiver.address).sections);
    let config = ServerConfig { sections: sections.unwrap_or_default(), ..ServerConfig::counted() };
    let start = ProductStart::new(&tools.tollgate, &data, &out, "tollgate");
    let start = ProductStart { config, workers: 1, under: &under, patience: PATIENCE, ..start };
    let product = start.run(mock.address).await?;
    let control = tools.path("callgrind_control")?;
    let mut callgrind = Callgrind { control, product: &product, dir: &out, dumps: 0, began: Instant::now() };
    callgrind.command("--instr=on")?;
    callgrind.zero()?;
    sleep(BACKGROUND).await;
    let background = callgrind.count()?;
    progress.step(START + BACKGROUND, "Tollgate runs under callgrind");
    let mut rows = Vec::new();
    let mut holds = true;
    let mut found = Vec::new();
    for (name, bound) in chosen {
        let (what, request) = request_of(name).context("internal error: no such row")?;
        let request = (request.bytes(&product.key), request.body == RequestBody::Streamed);
        let [of_worker, of_all] = callgrind.measure(&request, &background, flags.requests).await.context(name)?;
        let [worker, all] = [of_worker, of_all].map(|of| format!("{:.0} ({:.0} to {:.0})", of.median, of.low, of.high));
        progress.step(each, &format!("{name}: {worker} instructions per request on the worker's thread"));
        found.push((name, of_worker.median));
        // A recorded figure is of another build than the bound, which is without traces.
        let bound = if flags.max.is_none() && flags.traces.is_none() { bound } else { None };
        let is_missed = bound.is_some_and(|bound| of_worker.median > bound);
        holds &= !is_missed;
        let judged = if is_missed { "missed" } else { "met" };
        let verdict = bound.map(|bound| format!("at most {bound}: {judged}")).unwrap_or_default();
        let files = callgrind.last_files().display().to_string();
        rows.push(format!("| {what} | {worker} | {verdict} | {all} | {files} |"));
    }
    println!("{HEADER}\n{}", rows.join("\n"));
    Ok(match flags.max {
        Some(file) => holds && compare(&file, &found, flags.record)?,
        None => holds,
    })
}

/// The words and the request of a row.
fn request_of(name: &str) -> Option<(&'static str, BenchRequest)> {
    let limited = BenchRequest::KEYED.with_path("/plain/limited").with(BenchRequest::EDITED.headers);
    match name {
        LIMITED => Some(("with key, quota, two rate limits, three edits of headers each way", limited)),
        _ => Row::find(name).map(|row| (row.what, row.request)),
    }
}

/// Compares figures with those of a file, or writes them into it. Returns whether none costs more.
fn compare(file: &Path, found: &[(&str, f64)], record: bool) -> anyhow::Result<bool> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let recorded = figures(&text);
    if record {
        let mut all = recorded;
        let comments = text.lines().filter(|line| line.starts_with('#'));
        all.extend(found.iter().copied());
        let lines: Vec<String> = all.iter().map(|(name, figure)| format!("{name} {figure:.0}")).collect();
        let lines: Vec<&str> = comments.chain(lines.iter().map(String::as_str)).collect();
        fs::write(file, lines.join("\n") + "\n")?;
        return Ok(true);
    }
    let more: Vec<String> = found.iter().filter_map(|(name, figure)| excess(name, *figure, &recorded)).collect();
    println!("{}", if more.is_empty() { String::from("no row costs more than recorded") } else { more.join("\n") });
    Ok(more.is_empty())
}

/// The figures of a file, by row.
fn figures(text: &str) -> BTreeMap<&str, f64> {
    let figure = |line| str::split_once(line, ' ').and_then(|(name, figure)| Some((name, figure.parse::<f64>().ok()?)));
    text.lines().filter_map(figure).collect()
}

/// The fault of a row's figure; `None` if it is within the tolerance.
fn excess(name: &str, figure: f64, recorded: &BTreeMap<&str, f64>) -> Option<String> {
    let Some(old) = recorded.get(name) else { return Some(format!("{name}: no figure is recorded; use --record")) };
    let factor = if name == STREAM { STREAM_TOLERANCE } else { TOLERANCE };
    let percent = (figure / old - 1.0) * 100.0;
    (figure > old * factor)
        .then(|| format!("{name}: {figure:.0} instructions, {percent:.1}% more than recorded ({old:.0})"))
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
    /// The instructions per request, or per event of a stream, of the worker's thread and of all threads: the difference
    /// between [`FEW`] requests and `more` than that, fewer for streams. From that of all threads, `background` is subtracted.
    /// As many requests precede without a count.
    async fn measure(
        &mut self,
        request: &CountedRequest,
        background: &InstructionCount,
        more: u32,
    ) -> anyhow::Result<[MedianInterval; 2]> {
        let fewer = if request.1 { STREAM_EVENTS } else { 1 };
        let few = FEW / fewer;
        let more = more.div_ceil(fewer);
        let mut connection = PlainConnection::open(self.product.proxy).await?;
        send(&mut connection, request, few).await?;
        drained(self.product).await?;
        let mut of_worker = Vec::new();
        let mut of_all = Vec::new();
        for _ in 0..REPEATS {
            let mut counts = Vec::new();
            for requests in [few, few + more] {
                self.zero()?;
                let units = send(&mut connection, request, requests).await?;
                counts.push((self.count()?, units));
                let left = metric(self.product, "tollgate_spool_bytes").await?;
                ensure!(left == 0, "{left} bytes of events were not ingested within {} s", INGEST.as_secs());
            }
            let [(few, few_units), (many, many_units)] =
                counts.try_into().ok().context("internal error: two counts")?;
            let units = f64::from(many_units - few_units);
            let all = (many.without(background) - few.without(background)) / units;
            ensure!(
                all > 0.0 && many.worker > few.worker,
                "more requests had fewer instructions: {few:?} {many:?} {background:?}"
            );
            of_worker.push(as_float(many.worker - few.worker) / units);
            of_all.push(all);
        }
        let median = |found| MedianInterval::from_values(found).context("no difference was measured");
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
        let prefix = format!("{FILE}.{}-", self.dumps);
        let mut threads = Vec::new();
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

/// The bytes of a request, and whether its response is a stream.
type CountedRequest = (String, bool);

/// Sends requests one after the other, and waits until their usage is ingested. Returns the number of requests or events.
async fn send(connection: &mut PlainConnection, request: &CountedRequest, requests: u32) -> anyhow::Result<u32> {
    let (bytes, is_stream) = request;
    let mut units = 0;
    for _ in 0..requests {
        if *is_stream {
            units += connection.stream(bytes).await?;
        } else {
            connection.exchange(bytes).await?;
            units += 1;
        }
    }
    sleep(INGEST).await;
    Ok(units)
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
        // Symbols are stripped. Under load, no other thread has nearly as many instructions.
        let worker = totals.iter().copied().max()?;
        Some(Self { worker, all: totals.iter().sum(), elapsed })
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

    #[test]
    fn background_work_is_subtracted_by_time() {
        let count = |all, seconds| InstructionCount { worker: 0, all, elapsed: Duration::from_secs(seconds) };
        let found = count(5_000 + 300 * 32, 6).without(&count(1_000, 10));
        assert!((found - (5_000.0 + 300.0 * 32.0 - 600.0)).abs() < 1e-9, "{found}");
    }

    #[test]
    fn every_row_has_a_request_and_one_is_a_stream() {
        for (name, _) in COUNTED {
            let (_, request) = request_of(name).unwrap();
            assert_eq!(request.body == RequestBody::Streamed, name == STREAM, "{name}");
        }
    }

    #[test]
    fn a_row_that_costs_more_than_recorded_is_reported() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "# Instructions 1\nplain 1000\nstream 500\n").unwrap();
        let compared = |found: &[(&str, f64)], record| compare(file.path(), found, record).unwrap();
        assert!(compared(&[("plain", 1_030.0), (STREAM, 550.0)], false));
        assert!(!compared(&[("plain", 1_031.0)], false) && !compared(&[(STREAM, 551.0)], false));
        let recorded = BTreeMap::from([("plain", 1_000.0)]);
        let expected = "plain: 1100 instructions, 10.0% more than recorded (1000)";
        assert_eq!(excess("plain", 1_100.0, &recorded).as_deref(), Some(expected));
        assert!(!compared(&[("keyed", 1.0)], false));
        assert!(compared(&[("plain", 1_100.4), ("keyed", 2_000.0)], true));
        let written = fs::read_to_string(file.path()).unwrap();
        assert_eq!(written, "# Instructions 1\nkeyed 2000\nplain 1100\nstream 500\n");
        assert!(compared(&[("plain", 1_100.0), ("keyed", 2_050.0)], false));
    }

    #[test]
    fn the_worker_is_the_busiest_thread_and_the_total_is_the_first_event() {
        let files = ["fn=(7) main\ntotals: 2\n", "events: Ir\n\ntotals: 40 4\n"].map(str::to_owned);
        let found = InstructionCount::read(&files, Duration::ZERO).unwrap();
        assert_eq!((found.worker, found.all), (40, 42));
        for file in ["fn=(7) main\n", "events: Ir\nsummary: 7\n", "totals:\n"] {
            assert_eq!(InstructionCount::read(&[file.to_owned()], Duration::ZERO), None, "{file}");
        }
    }
}
