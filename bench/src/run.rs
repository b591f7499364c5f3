//! The whole measurement, in order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use access::Clock;
use anyhow::Context;
use tokio::time::sleep;

use crate::RunFlags;
use crate::counts::{ProductCounts, drained};
use crate::exact;
use crate::loader::Loader;
use crate::memory::pss_kib;
use crate::nginx::Nginx;
use crate::pair::{Bench, ScenarioResult};
use crate::product::{LIMITED, MockProcess, Product, ProductFiles};
use crate::report::{BenchReport, LoadCounts, MemoryUse};
use crate::scenario::BenchScenario;
use crate::tools::ToolPaths;
use crate::wrk::Wrk;

/// The time between the start and the first reading of the memory.
const SETTLE: Duration = Duration::from_secs(5);

/// Measures, checks and prints. Returns `false` if a response or a count was wrong.
pub(crate) async fn run(flags: RunFlags) -> anyhow::Result<bool> {
    let tools = ToolPaths::find(flags.profile_dir.as_deref())?;
    let out = out_dir(&flags.out)?;
    let dir = tempfile::tempdir()?;
    let mock = MockProcess::start(&tools.tollgate, &out).await?;
    let nginx = start_nginx(&tools, &mock, &out).await?;
    let data = dir.path().join("data");
    let name = "tollgate";
    let places = ProductFiles { program: &tools.tollgate, data: &data, out: &out, name, url: None, limits: LIMITED };
    let product = Product::start(&places, mock.address).await?;
    sleep(SETTLE).await;
    let at_rest_kib = pss_kib(&product.group.account)?;

    println!("checking responses");
    let exact = exact::pass(&product, mock.address, flags.check_rounds).await?;
    let before = ProductCounts::read(&product).await?;
    let wrk = Wrk {
        program: &tools.wrk,
        dir: dir.path(),
        keys: std::slice::from_ref(&product.key),
        connections: flags.connections,
        seconds: flags.seconds,
    };
    let bench = Bench { nginx: &nginx, product: &product, mock: &mock, wrk, out: &out };
    let mut scenarios = Vec::new();
    for scenario in BenchScenario::chosen(&flags) {
        println!("{}", scenario.what);
        scenarios.push(bench.measure(&scenario, flags.pairs).await.context(scenario.name)?);
    }
    let whole = whole(&bench, &flags, &scenarios, before).await?;
    let memory = MemoryUse {
        at_rest_kib,
        requests: load(&bench, &flags, whole.forwarded + exact.sent).await?,
        loaded_kib: pss_kib(&product.group.account)?,
        rest_seconds: flags.rest_seconds,
    };
    let RunFlags { pairs, seconds, connections, .. } = flags;
    let cpu_method = product.group.account.method();
    let report = BenchReport { pairs, seconds, connections, cpu_method, scenarios, exact, whole, memory };
    println!("\n{}\nRaw output: {}", report.write(&out)?, out.display());
    Ok(report.correct())
}

async fn start_nginx(tools: &ToolPaths, mock: &MockProcess, out: &Path) -> anyhow::Result<Nginx> {
    // The workers of nginx run as `nobody` and must be able to enter the folder.
    let dir = out.join("nginx");
    std::fs::create_dir(&dir)?;
    let mut nginx = Nginx::start(&tools.nginx, mock.address, &dir.canonicalize()?)?;
    for streamed in [false, true] {
        Loader::connect_soon(nginx.address(streamed)).await.context("cannot connect to nginx; see nginx/error.log")?;
    }
    nginx.group.lives()?;
    Ok(nginx)
}

/// Compares the requests that reached the mock under load with Tollgate's counts.
async fn whole(
    bench: &Bench<'_>,
    flags: &RunFlags,
    scenarios: &[ScenarioResult],
    before: ProductCounts,
) -> anyhow::Result<LoadCounts> {
    let probes = u64::try_from(scenarios.len())?;
    let keyed_probes = u64::try_from(scenarios.iter().filter(|measured| measured.keyed).count())?;
    let runs = u64::from(flags.pairs) * probes;
    let reached = |measured: &&ScenarioResult| measured.keyed;
    let sum = |measured: &[&ScenarioResult]| measured.iter().map(|measured| measured.forwarded).sum::<u64>();
    let mut whole = LoadCounts {
        forwarded: sum(&scenarios.iter().collect::<Vec<_>>()) + probes,
        forwarded_with_key: sum(&scenarios.iter().filter(reached).collect::<Vec<_>>()) + keyed_probes,
        counted: ProductCounts::default(),
        tolerance: runs * u64::from(flags.connections),
    };
    let targets = (whole.forwarded, whole.forwarded_with_key, whole.tolerance);
    whole.counted = ProductCounts::settle(bench.product, before, |counted| {
        let (forwarded, forwarded_with_key, tolerance) = targets;
        LoadCounts { forwarded, forwarded_with_key, tolerance, counted: *counted }.matches()
    })
    .await?;
    Ok(whole)
}

/// Sends requests until `memory_requests` are reached, then rests. Returns the number of all requests.
async fn load(bench: &Bench<'_>, flags: &RunFlags, mut requests: u64) -> anyhow::Result<u64> {
    while requests < flags.memory_requests {
        println!("{requests} of {} requests before the memory is read", flags.memory_requests);
        let run = bench.wrk.run(&BenchScenario::keyed(), bench.product.proxy).await?;
        requests += run.requests.max(1);
    }
    drained(bench.product).await?;
    sleep(Duration::from_secs(flags.rest_seconds)).await;
    Ok(requests)
}

/// Creates a new folder for the output of a run.
pub(crate) fn out_dir(parent: &Path) -> anyhow::Result<PathBuf> {
    let name = format!("{}-{}", Clock::system().now().unix_seconds(), std::process::id());
    let dir = parent.join(name);
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir.canonicalize()?)
}
