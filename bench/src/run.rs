//! The whole measurement, in order.

use std::path::{Path, PathBuf};

use access::Clock;
use anyhow::Context;
use tokio::time::sleep;

use crate::RunFlags;
use crate::certificate;
use crate::counts::{ProductCounts, drained};
use crate::exact;
use crate::idle::IdleMemory;
use crate::jwt_row;
use crate::latency::{self, LatencyResult};
use crate::load_counts::LoadCounts;
use crate::log_level::{LevelBench, LogLevelCost};
use crate::machine::Machine;
use crate::memory::pss_kib;
use crate::pair::PairResult;
use crate::pair_side::PairBench;
use crate::plan::{IDLE, JWT, LATENCY, LOG_LEVEL, MEMORY, Progress, RunPlan, minutes};
use crate::product::{LIMITED, MockProcess, Product, ProductFiles, ServerSettings};
use crate::raw::RawRuns;
use crate::reference::{ReferenceSet, ReferenceStart};
use crate::report::{BenchReport, MemoryUse};
use crate::rounds::{Bench, Recorder, ScenarioResult};
use crate::scenario::BenchScenario;
use crate::token_issuer::TokenIssuer;
use crate::tools::{BenchTool, ToolPaths};
use crate::wrk::Wrk;

/// The load of the scenarios whose requests the main Tollgate counts.
const ALL_SCENARIOS: &str = "all scenarios except jwt";

const TOOLS: [BenchTool; 6] =
    [BenchTool::Nginx, BenchTool::Haproxy, BenchTool::Envoy, BenchTool::Traefik, BenchTool::Wrk, BenchTool::H2load];

/// Measures, checks and prints. Returns `false` if a response or a count was wrong.
pub(crate) async fn run(flags: RunFlags) -> anyhow::Result<bool> {
    let tools = ToolPaths::find(&TOOLS, flags.profile_dir.as_deref())?;
    let (plan, machine, out) = (RunPlan::of(&flags), Machine::read(), out_dir(&flags.out)?);
    println!(
        "{}: {} rounds of {} s, about {}",
        plan.rows.join(", "),
        plan.pairs,
        plan.seconds,
        minutes(plan.estimate())
    );
    if let Some(warning) = machine.warning() {
        println!("warning: {warning}");
    }
    let mut recorder = Recorder { raw: RawRuns::create(&out)?, progress: Progress::begin(plan.estimate()) };
    println!("raw figures of each run: {}", recorder.raw.path.display());
    let dir = tempfile::tempdir()?;
    certificate::create(&out)?;
    let issuer = TokenIssuer::create(&out)?;
    let mock = MockProcess::start(&tools.tollgate, &out).await?;
    let start = ReferenceStart { tools: &tools, backend: mock.address, out: &out, issuer: &issuer };
    let peers = if plan.has_peers() { peer_versions(&tools)? } else { Vec::new() };
    let references = ReferenceSet::start(&start, plan.has_peers()).await?;
    let (data, name, server) = (dir.path().join("data"), "tollgate", ServerSettings::COMPARED);
    let program = &tools.tollgate;
    let places = ProductFiles { program, data: &data, out: &out, name, url: None, limits: LIMITED, server };
    let product = Product::start(&places, mock.address).await?;
    sleep(plan.settle).await;
    let at_rest_kib = pss_kib(&product.group.account)?;
    let exact = exact::pass(&product, mock.address, plan.check_rounds).await?;
    recorder.progress.step(plan.preparation(), "all programs run, and responses are checked");

    let before = ProductCounts::read(&product).await?;
    let wrk = Wrk {
        program: tools.path(BenchTool::Wrk)?,
        dir: dir.path(),
        keys: std::slice::from_ref(&product.key),
        connections: plan.connections,
        seconds: plan.seconds,
    };
    let bench = Bench { references: &references, product: &product, mock: &mock, wrk, out: &out, plan: &plan };
    let (scenarios, mut whole) = scenarios(&bench, &start, before, &mut recorder).await?;
    let main = whole.iter().filter(|counts| counts.what == ALL_SCENARIOS).map(|counts| counts.forwarded);
    let memory = memory(&bench, at_rest_kib, main.sum::<u64>() + exact.sent, &mut recorder).await?;
    let compared = pairs(&bench, &tools, &issuer, &mut recorder).await?;
    whole.extend(compared.iter().flat_map(|pair| pair.counts.iter().copied()));
    let latency = latency(&bench, &mut recorder).await?;
    let log_level = log_level(&bench, program, &mut recorder).await?;
    let idle = idle(program, &mock, &plan, &mut recorder).await?;
    let report = BenchReport {
        pairs: plan.pairs,
        seconds: plan.seconds,
        connections: plan.connections,
        is_result: plan.is_result(),
        machine,
        nginx_version: tools.version(BenchTool::Nginx)?,
        haproxy_version: tools.version(BenchTool::Haproxy)?,
        peers,
        cpu_method: product.group.account.method(),
        scenarios,
        compared,
        latency,
        log_level,
        idle,
        memory,
        exact,
        whole,
    };
    let (text, json) = report.write(&out)?;
    println!("\n{text}\nReport: {}\nRaw figures of each run: {}", json.display(), recorder.raw.path.display());
    Ok(report.correct())
}

/// Measures the scenarios, and compares the counts of each Tollgate.
async fn scenarios(
    bench: &Bench<'_>,
    start: &ReferenceStart<'_>,
    before: ProductCounts,
    recorder: &mut Recorder,
) -> anyhow::Result<(Vec<ScenarioResult>, Vec<LoadCounts>)> {
    let (mut scenarios, mut whole) = (Vec::new(), Vec::new());
    for scenario in bench.plan.scenarios().into_iter().filter(|scenario| scenario.name != JWT) {
        scenarios.push(bench.measure(&scenario, recorder).await.context(scenario.name)?);
    }
    if !scenarios.is_empty() {
        whole.push(bench.counts(ALL_SCENARIOS, &scenarios).settle(bench.product, before).await?);
    }
    if bench.plan.has(JWT) {
        let measured = jwt_row::measure(bench, &start.tools.tollgate, start.issuer, recorder);
        let (scenario, counts) = measured.await.context(JWT)?;
        scenarios.push(scenario);
        whole.push(counts);
    }
    Ok((scenarios, whole))
}

async fn latency(bench: &Bench<'_>, recorder: &mut Recorder) -> anyhow::Result<Option<LatencyResult>> {
    if !bench.plan.has(LATENCY) {
        return Ok(None);
    }
    Ok(Some(latency::measure(bench, recorder).await.context(LATENCY)?))
}

async fn log_level(bench: &Bench<'_>, program: &Path, recorder: &mut Recorder) -> anyhow::Result<Option<LogLevelCost>> {
    let Bench { mock, wrk, plan, .. } = *bench;
    if !plan.has(LOG_LEVEL) {
        return Ok(None);
    }
    let levels = LevelBench { program, mock, wrk, plan };
    Ok(Some(levels.measure(recorder).await.context(LOG_LEVEL)?))
}

/// The versions of the peers that may be missing.
fn peer_versions(tools: &ToolPaths) -> anyhow::Result<Vec<String>> {
    let version = |(tool, name): (BenchTool, &str)| {
        if !tools.has(tool) {
            println!("warning: {name} is not installed (bench/setup.sh), so the report has no figures of it");
            return Ok(format!("{name} is not installed"));
        }
        Ok(format!("{name} {}", tools.version(tool)?))
    };
    [(BenchTool::Envoy, "Envoy"), (BenchTool::Traefik, "Traefik")].into_iter().map(version).collect()
}

/// Measures the rows that compare two sides.
async fn pairs(
    bench: &Bench<'_>,
    tools: &ToolPaths,
    issuer: &TokenIssuer,
    recorder: &mut Recorder,
) -> anyhow::Result<Vec<PairResult>> {
    let Bench { references, mock, wrk, out, plan, .. } = *bench;
    let (program, h2load, nginx) = (&*tools.tollgate, tools.path(BenchTool::H2load)?, &references.nginx);
    let compared = PairBench { program, mock, nginx, issuer, wrk, h2load, out, plan };
    let mut results = Vec::new();
    for row in plan.pair_rows() {
        results.push(compared.measure(&row, recorder).await.context(row.name)?);
    }
    Ok(results)
}

/// Sends requests until `memory_requests` are reached, rests, and reads the memory.
async fn memory(
    bench: &Bench<'_>,
    at_rest_kib: u64,
    mut requests: u64,
    recorder: &mut Recorder,
) -> anyhow::Result<Option<MemoryUse>> {
    let plan = bench.plan;
    if !plan.has(MEMORY) {
        return Ok(None);
    }
    while requests < plan.memory_requests {
        let run = bench.wrk.run(&BenchScenario::keyed(), bench.product.proxy).await?;
        requests += run.requests.max(1);
    }
    drained(bench.product).await?;
    sleep(plan.rest).await;
    let loaded_kib = pss_kib(&bench.product.group.account)?;
    recorder.progress.step(plan.row_estimate(MEMORY), &format!("{MEMORY}: {at_rest_kib} and {loaded_kib} KiB"));
    Ok(Some(MemoryUse { at_rest_kib, requests, loaded_kib, rest_seconds: plan.rest.as_secs() }))
}

async fn idle(
    program: &Path,
    mock: &MockProcess,
    plan: &RunPlan,
    recorder: &mut Recorder,
) -> anyhow::Result<Option<IdleMemory>> {
    if !plan.has(IDLE) {
        return Ok(None);
    }
    let out = recorder.raw.path.parent().context("the raw figures have no folder")?;
    let idle = IdleMemory::measure(program, mock.address, plan, out).await.context(IDLE)?;
    let IdleMemory { connections, rest_kib, open_kib } = idle;
    let done = format!("{IDLE}: {rest_kib} KiB, {open_kib} KiB with {connections} connections");
    recorder.progress.step(plan.row_estimate(IDLE), &done);
    Ok(Some(idle))
}

/// Creates a new folder for the output of a run.
pub(crate) fn out_dir(parent: &Path) -> anyhow::Result<PathBuf> {
    let name = format!("{}-{}", Clock::system().now().unix_seconds(), std::process::id());
    let dir = parent.join(name);
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir.canonicalize()?)
}
