//! The whole measurement, in order.

use std::path::{Path, PathBuf};

use access::Clock;
use anyhow::{Context, ensure};
use tokio::time::sleep;

use crate::RunFlags;
use crate::counts;
use crate::figure::Figure;
use crate::latency::SideLoad;
use crate::load::Generators;
use crate::memory::IdleKind;
use crate::origin::TlsOrigin;
use crate::process::pss_kib;
use crate::product::{MockProcess, ProductStart};
use crate::proxies::{ProxyKind, ProxyStart};
use crate::report::{BenchReport, CostResult, Machine};
use crate::rounds::{Recorder, Rounds, RowRuns};
use crate::rows::{
    IDLE, LATENCY, MEMBERS, MEMORY, PairKind, Progress, RESILIENT, Row, RowKind, RunPlan, TRANSFORM, WEBSOCKET, minutes,
};
use crate::sides::{CountedProduct, SideStart};
use crate::tokens::{self, TokenIssuer};
use crate::tools::{BenchTool, ToolPaths};
use crate::{latency, members, memory};

const TOOLS: [BenchTool; 6] =
    [BenchTool::Nginx, BenchTool::Haproxy, BenchTool::Envoy, BenchTool::Traefik, BenchTool::Wrk, BenchTool::H2load];

/// The folders of the binary and of the output.
#[derive(clap::Args, Clone)]
pub(crate) struct PlaceFlags {
    /// The folder of the binary `tollgate`; by default that of this binary
    #[arg(long)]
    pub(crate) profile_dir: Option<PathBuf>,
    /// The folder of the raw output
    #[arg(long, default_value = "bench/out")]
    pub(crate) out: PathBuf,
}

/// Measures, checks and prints. Returns `false` if a response or a count was wrong.
pub(crate) async fn run(flags: RunFlags) -> anyhow::Result<bool> {
    let tools = ToolPaths::find(&TOOLS, flags.places.profile_dir.as_deref())?;
    let (plan, machine, out) = (RunPlan::of(&flags), Machine::read(), out_dir(&flags.places.out)?);
    let (&RunPlan { pairs, seconds, connections, .. }, estimate) = (&plan, plan.estimate());
    println!("{}: {pairs} rounds of {seconds} s, about {}", plan.rows.join(", "), minutes(estimate));
    if let Some(warning) = machine.warning() {
        println!("warning: {warning}");
    }
    let mut recorder = Recorder::create(&out, Progress::begin(estimate))?;
    println!("raw figures of each run: {}", recorder.path.display());
    let (dir, program) = (tempfile::tempdir()?, &*tools.tollgate);
    tokens::create_certificate(&out)?;
    let issuer = TokenIssuer::create(&out)?;
    let mock = MockProcess::start(program, &out, "mock").await?;
    let versions = versions(&tools, plan.has_peers())?;
    let origin = TlsOrigin::start(tools.path(BenchTool::Nginx)?, mock.address, &out).await?;
    let proxies =
        ProxyStart { tools: &tools, backend: mock.address, origin: origin.address, out: &out, issuer: &issuer };
    let proxies = proxies.run(plan.has_peers()).await?;
    let data = dir.path().join("data");
    let product = ProductStart::new(program, &data, &out, "tollgate").run(mock.address).await?;
    sleep(plan.settle).await;
    let at_rest_kib = pss_kib(&product.group.account)?;
    let exact = counts::check_responses(&product, mock.address, plan.check_rounds).await?;
    recorder.progress.step(plan.preparation(), "all programs run, and responses are checked");

    let main = CountedProduct::new(product, vec![mock.address]).await?;
    let (mock, proxies, main, issuer) = (&mock, &proxies, &main, &issuer);
    let start = SideStart { program, mock, origin: origin.address, proxies, main, issuer, out: &out, dir: dir.path() };
    let (wrk, h2load) = (tools.path(BenchTool::Wrk)?, Some(tools.path(BenchTool::H2load)?));
    let generators = Generators { wrk, h2load, dir: dir.path(), connections };
    let rounds = Rounds { generators, issuer: Some(issuer), out: &out, pairs, seconds, warm_each: 0 };
    let cpu_method = main.product.group.account.method();
    let mut report = BenchReport::of(&plan, machine, cpu_method, exact);
    report.versions = versions;
    for row in plan.compared() {
        (RowBench { plan: &plan, start: &start, rounds: &rounds })
            .measure(&row, &mut recorder, &mut report)
            .await
            .context(row.name)?;
    }
    let counts = main.settle("all rows of this Tollgate").await?;
    if counts.forwarded > 0 {
        report.counts.insert(0, counts);
    }
    let mut memory = Vec::new();
    if plan.has(MEMORY) {
        let requests = counts.forwarded + exact.sent;
        memory = memory::after_load(&rounds, main, &plan, at_rest_kib, requests).await?;
        recorder.progress.step(plan.row_estimate(MEMORY), MEMORY);
    }
    if plan.has(LATENCY) {
        let round = plan.row_estimate(LATENCY) / (pairs + 1);
        let result = latency::measure(&rounds, &start, round, &mut recorder).await.context(LATENCY)?;
        report.figures.extend(result.figures());
        report.failed += result.failed;
        report.latency = Some(result);
    }
    if plan.has(IDLE) {
        report.figures.extend(memory::idle(&start, &plan, IdleKind::KeptAlive).await.context(IDLE)?);
        recorder.progress.step(plan.row_estimate(IDLE), IDLE);
    }
    if plan.has(WEBSOCKET) {
        report.figures.extend(memory::idle(&start, &plan, IdleKind::WebSockets).await.context(WEBSOCKET)?);
    }
    report.figures.extend(beside_others(&plan, &rounds, &start).await?);
    report.figures.extend(memory);
    let (text, json) = report.write(&out)?;
    println!("\n{text}\nReport: {}\nRaw figures of each run: {}", json.display(), recorder.path.display());
    Ok(report.correct())
}

/// Measures what some work adds to the latency of other requests, for the rows that are measured.
async fn beside_others(plan: &RunPlan, rounds: &Rounds<'_>, start: &SideStart<'_>) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (row, load) in [(TRANSFORM, SideLoad::ChangedBodies), (RESILIENT, SideLoad::Scrapes)] {
        if plan.has(row) {
            figures.push(latency::beside(rounds, start, load).await.context(row)?);
        }
    }
    if plan.has(MEMBERS) {
        figures.push(members::measure(rounds, start).await.context(MEMBERS)?);
    }
    Ok(figures)
}

/// The programs and the size of the rows that are compared in rounds.
struct RowBench<'a> {
    plan: &'a RunPlan,
    start: &'a SideStart<'a>,
    rounds: &'a Rounds<'a>,
}

impl RowBench<'_> {
    /// Measures a row, and adds its figures and counts to the report.
    async fn measure(&self, row: &Row, recorder: &mut Recorder, report: &mut BenchReport) -> anyhow::Result<()> {
        let Self { plan, start, rounds } = *self;
        let second = match row.kind {
            RowKind::Pair(PairKind::Backends, _) => {
                Some(MockProcess::start(start.program, start.out, "mock-second").await?)
            }
            RowKind::Pair(..) | RowKind::Proxies(..) => None,
        };
        let dir = tempfile::tempdir()?;
        let sides = SideStart { dir: dir.path(), ..*start }.sides(row, second.as_ref()).await?;
        let runs = rounds.measure(row, &sides, plan.row_estimate(row.name) / plan.pairs, recorder).await?;
        ensure!(!plan.is_result() || reached(row, &runs, plan), "a run had less than 90% of the rate");
        report.failed += runs.failed;
        match row.kind {
            RowKind::Proxies(_, targets) => report.costs.extend(CostResult::of(row, &targets, &runs)),
            RowKind::Pair(..) => {
                let lines = sides.last().and_then(|side| Some(side.log.as_ref()?.counts.get()));
                report.figures.extend(Figure::of_pair(row, &runs, lines));
            }
        }
        if matches!(row.kind, RowKind::Proxies(..)) && row.variant().is_none() {
            return Ok(());
        }
        let same = matches!(row.kind, RowKind::Pair(PairKind::Rate | PairKind::Cold, _));
        for counted in sides.iter().filter_map(|side| side.counted()).skip(usize::from(same)) {
            report.counts.push(counted.settle(row.name).await?);
        }
        Ok(())
    }
}

/// Whether the runs of a row with a fixed rate reached it. At a lower one, a request costs more, because each wake-up serves
/// fewer requests.
fn reached(row: &Row, runs: &RowRuns, plan: &RunPlan) -> bool {
    let due = row.load.rate().unwrap_or(0) * plan.seconds;
    runs.rounds.iter().flatten().all(|run| run.load.requests * 10 >= due * 9)
}

/// The versions of the proxies, of which Envoy and Traefik may be missing.
fn versions(tools: &ToolPaths, all: bool) -> anyhow::Result<Vec<String>> {
    let version = |kind: ProxyKind| {
        let (tool, name) = (kind.tool(), kind.name());
        if !tools.has(tool) {
            println!("warning: {name} is not installed (bench/setup.sh), so the report has no figures of it");
            return Ok(format!("{name} (not installed)"));
        }
        Ok(format!("{name} {}", tools.version(tool)?))
    };
    ProxyKind::ALL.into_iter().filter(|kind| all || !kind.tool().is_optional()).map(version).collect()
}

/// Creates a new folder for the output of a run.
pub(crate) fn out_dir(parent: &Path) -> anyhow::Result<PathBuf> {
    let name = format!("{}-{}", Clock::system().now().unix_seconds(), std::process::id());
    let dir = parent.join(name);
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir.canonicalize()?)
}
