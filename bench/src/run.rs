//! The whole measurement, in order.

use std::path::{Path, PathBuf};

use access::Clock;
use anyhow::Context;
use tokio::time::sleep;

use crate::checks::check_side;
use crate::latency::LatencyPlan;
use crate::load::Generators;
use crate::plan::{Progress, RunFlags, SizeFlags, minutes};
use crate::process::pss_kib;
use crate::product::{MockProcess, ProductStart};
use crate::proxies::{PROXIES, ProxyStart};
use crate::report::{BenchReport, CostResult, Figure, Machine};
use crate::rounds::{Recorder, Rounds};
use crate::rows::{IDLE, LATENCY, MEMBERS, MEMORY, PairKind, RESILIENT, Row, RowKind, TRANSFORM, WEBSOCKET};
use crate::sides::{CountedProduct, SideStart};
use crate::tokens::{self, TokenIssuer};
use crate::tools::{ToolPaths, is_optional};
use crate::{latency, members, memory};

const TOOLS: [&str; 6] = ["nginx", "haproxy", "envoy", "traefik", "wrk", "h2load"];

/// Measures and prints. Returns `false` if a request failed or a count was wrong.
pub(crate) async fn run(flags: RunFlags) -> anyhow::Result<bool> {
    let plan = flags.planned();
    let SizeFlags { pairs, seconds, connections, places } = &plan.size;
    let pairs = *pairs;
    let seconds = *seconds;
    let connections = *connections;
    let tools = ToolPaths::find(&TOOLS, places.profile_dir.as_deref())?;
    let machine = Machine::read();
    let out = out_dir(&places.out)?;
    let estimate = plan.estimate();
    println!("{}: {pairs} rounds of {seconds} s, about {}", plan.only.join(", "), minutes(estimate));
    if let Some(warning) = machine.warning() {
        println!("warning: {warning}");
    }
    let recorder = Recorder::create(&out, Progress::begin(estimate))?;
    println!("raw figures of each run: {}", recorder.path.display());
    let dir = tempfile::tempdir()?;
    let program = &*tools.tollgate;
    tokens::create_certificate(&out)?;
    let issuer = TokenIssuer::create(&out)?;
    let mock = MockProcess::start(program, &out, "mock").await?;
    let versions = versions(&tools, plan.has_peers())?;
    let proxies = ProxyStart { tools: &tools, backend: mock.address, out: &out, issuer: &issuer };
    let proxies = proxies.run(plan.has_peers()).await?;
    let data = dir.path().join("data");
    let product = ProductStart::new(program, &data, &out, "tollgate").run(mock.address).await?;
    sleep(plan.settle()).await;
    let beside = if plan.has(LATENCY) { proxies.list.as_slice() } else { &[] };
    let groups = beside.iter().map(|proxy| &proxy.group).chain([&product.group]);
    let at_rest_kib = groups.map(|group| pss_kib(&group.account)).collect::<anyhow::Result<Vec<_>>>()?;
    recorder.step(plan.preparation(), "all programs run");

    let main = CountedProduct::new(product, vec![mock.address]).await?;
    let mock = &mock;
    let proxies = &proxies;
    let main = &main;
    let issuer = &issuer;
    let start = SideStart { program, mock, proxies, main, issuer, out: &out, dir: dir.path() };
    let wrk = tools.path("wrk")?;
    let h2load = Some(tools.path("h2load")?);
    let generators = Generators { wrk, h2load, dir: dir.path(), connections };
    let rounds = Rounds { generators, issuer: Some(issuer), out: &out, pairs, seconds, warm_each: 0 };
    let mut report = BenchReport::new(&plan, machine, main.product.group.account.method());
    report.versions = versions;
    let bench =
        RowBench { plan: &plan, start: &start, rounds: &rounds, recorder: &recorder, at_rest_kib: &at_rest_kib };
    for row in plan.compared() {
        bench.measure(&row, &mut report).await.context(row.name)?;
    }
    let counts = main.settle("all rows of this Tollgate").await?;
    if counts.forwarded > 0 {
        report.counts.insert(0, counts);
    }
    let mut memory = Vec::new();
    if plan.has(MEMORY) {
        let at_rest_kib = *at_rest_kib.last().context("internal error: no side")?;
        memory = memory::after_load(&rounds, main, &plan, at_rest_kib, counts.forwarded).await?;
        recorder.step(plan.row_estimate(MEMORY), MEMORY);
    }
    bench.others(&mut report).await?;
    report.figures.extend(memory);
    let (text, file) = report.write(&out)?;
    println!("\n{text}\nReport: {}\nRaw figures of each run: {}", file.display(), recorder.path.display());
    Ok(report.correct())
}

/// The programs and the size of the measurement.
struct RowBench<'a> {
    plan: &'a RunFlags,
    start: &'a SideStart<'a>,
    rounds: &'a Rounds<'a>,
    recorder: &'a Recorder,
    /// The memory at rest of the proxies and, last, of Tollgate.
    at_rest_kib: &'a [u64],
}

impl RowBench<'_> {
    /// Measures a row, and adds its figures and counts to the report.
    async fn measure(&self, row: &Row, report: &mut BenchReport) -> anyhow::Result<()> {
        let Self { plan, start, rounds, recorder, .. } = *self;
        let second = match row.kind {
            RowKind::Pair(PairKind::Backends, _) => {
                Some(MockProcess::start(start.program, start.out, "mock-second").await?)
            }
            RowKind::Pair(..) | RowKind::Proxies(..) => None,
        };
        let dir = tempfile::tempdir()?;
        let sides = SideStart { dir: dir.path(), ..*start }.sides(row, second.as_ref()).await?;
        for side in &sides {
            check_side(side, row, start.mock.address).await.context(side.name)?;
        }
        let runs = rounds.measure(row, &sides, plan.round_estimate(row.name), recorder).await?;
        report.failed += runs.failed;
        match row.kind {
            RowKind::Proxies(_, targets) => report.costs.extend(CostResult::from_runs(row, &targets, &runs)),
            RowKind::Pair(..) => {
                let lines = sides.last().and_then(|side| Some(side.log.as_ref()?.get()));
                report.figures.extend(Figure::of_pair(row, &runs, lines));
            }
        }
        if matches!(row.kind, RowKind::Proxies(..)) && !row.has_own_tollgate() {
            return Ok(());
        }
        let same = matches!(row.kind, RowKind::Pair(PairKind::Cold, _));
        for counted in sides.iter().filter_map(|side| side.counted.as_ref()).skip(usize::from(same)) {
            report.counts.push(counted.settle(row.name).await?);
        }
        Ok(())
    }

    /// Measures latencies, idle connections, and what some work adds to the latency of other requests.
    async fn others(&self, report: &mut BenchReport) -> anyhow::Result<()> {
        let Self { plan, start, rounds, recorder, at_rest_kib } = *self;
        if plan.has(LATENCY) {
            let round = plan.round_estimate(LATENCY);
            let is_result = plan.is_result();
            let plan = LatencyPlan { round, rate: plan.rate, at_rest_kib, is_result };
            let (table, failed) = latency::measure(rounds, start, &plan, recorder).await.context(LATENCY)?;
            report.latency = table;
            report.failed += failed;
        }
        for row in [IDLE, WEBSOCKET] {
            if plan.has(row) {
                report.figures.extend(memory::idle(start, plan, row == WEBSOCKET).await.context(row)?);
            }
            if row == IDLE && plan.has(IDLE) {
                recorder.step(plan.row_estimate(IDLE), IDLE);
            }
        }
        if plan.has(TRANSFORM) {
            report.figures.push(latency::beside_changes(rounds, start).await.context(TRANSFORM)?);
        }
        if plan.has(RESILIENT) {
            report.figures.push(latency::beside_scrapes(rounds, start).await.context(RESILIENT)?);
        }
        if plan.has(MEMBERS) {
            report.figures.push(members::measure(rounds, start).await.context(MEMBERS)?);
        }
        Ok(())
    }
}

/// The versions of the proxies, of which Envoy and Traefik may be missing.
fn versions(tools: &ToolPaths, all: bool) -> anyhow::Result<Vec<String>> {
    let version = |name: &'static str| {
        if !tools.has(name) {
            println!("warning: {name} is not installed (bench/setup.sh), so the report has no figures of it");
            return Ok(format!("{name} (not installed)"));
        }
        Ok(format!("{name} {}", tools.version(name)?))
    };
    PROXIES.iter().map(|kind| kind.name).filter(|name| all || !is_optional(name)).map(version).collect()
}

/// Creates a new folder for the output of a run.
pub(crate) fn out_dir(parent: &Path) -> anyhow::Result<PathBuf> {
    let name = format!("{}-{}", Clock::system().now().unix_seconds(), std::process::id());
    let dir = parent.join(name);
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir.canonicalize()?)
}
