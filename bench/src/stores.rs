//! `stores` and `leases`: two Tollgates in interleaved runs, which differ in their database or in the budgets of their users.

use std::time::Duration;

use anyhow::{Context, ensure};

use crate::counts::metric;
use crate::database::{BenchDatabase, DatabaseKind};
use crate::lease_nodes::{self, SimulatedLoad};
use crate::load::Generators;
use crate::people;
use crate::plan::{Progress, SizeFlags};
use crate::product::{LIMITED, MockProcess, PLAN, ProductStart, RATE_LIMITED, ServerConfig};
use crate::rounds::{CpuShare, Recorder, Rounds, RowRuns, SideRun, per};
use crate::rows::Row;
use crate::run::out_dir;
use crate::sides::{CountedProduct, Side};
use crate::stats::{METHOD, MedianInterval};
use crate::tools::ToolPaths;

/// The maximum ratio of the workers' time on PostgreSQL to that on SQLite.
const STORES_TARGET: f64 = 1.10;
/// The maximum ratio of the time per request with leased budgets to that without.
const LEASES_TARGET: f64 = 1.03;
/// The warm-up before each run: clients receive their leases, and those of the other side return two seconds after the
/// last call.
const LEASES_WARM_SECONDS: u64 = 3;

#[derive(clap::Args, Clone)]
pub(crate) struct LeasesFlags {
    /// Users, each with a quota and a key
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    users: u32,
    #[command(flatten)]
    simulated: SimulatedLoad,
    #[command(flatten)]
    size: SizeFlags,
}

/// A side of a comparison: its name, whether its store is PostgreSQL, and the limits of its plan.
type PairSetting = (&'static str, DatabaseKind, &'static str);

/// Compares an LLM call on SQLite and PostgreSQL. A failed request is an error.
pub(crate) async fn stores(flags: SizeFlags) -> anyhow::Result<bool> {
    let sides = [("sqlite", DatabaseKind::Sqlite, LIMITED), ("postgres", DatabaseKind::Postgres, LIMITED)];
    compare(&flags, sides, None, &["llm"]).await
}

/// Compares users with leased quotas and users without quotas on PostgreSQL, or simulates nodes. A failed request is an error.
pub(crate) async fn leases(flags: LeasesFlags) -> anyhow::Result<bool> {
    if let Some(nodes) = flags.simulated.nodes {
        return lease_nodes::run(nodes, flags.simulated);
    }
    let sides = [("free", DatabaseKind::Postgres, RATE_LIMITED), ("lent", DatabaseKind::Postgres, LIMITED)];
    compare(&flags.size, sides, Some(flags.users), &["keyed", "llm"]).await
}

/// Runs the measurements and prints them; `users` is the number of callers if budgets are compared.
async fn compare(
    flags: &SizeFlags,
    settings: [PairSetting; 2],
    users: Option<u32>,
    rows: &[&str],
) -> anyhow::Result<bool> {
    let SizeFlags { pairs, seconds, connections, ref places } = *flags;
    let tools = ToolPaths::find(&["wrk"], places.profile_dir.as_deref())?;
    let out = out_dir(&places.out)?;
    let dir = tempfile::tempdir()?;
    let mock = MockProcess::start(&tools.tollgate, &out, "mock").await?;
    let mut databases = Vec::new();
    let mut counted = Vec::new();
    for (name, kind, plan) in settings {
        let database = BenchDatabase::create(kind).await?;
        println!("{name}: {}", database.describe());
        // SQLite's file is in the data folder.
        let data = if database.url.is_some() { dir.path().join(name) } else { database.folder().to_owned() };
        let url = database.url.as_ref();
        let config = ServerConfig { plan, ..ServerConfig::default() };
        let start = ProductStart { url, config, ..ProductStart::new(&tools.tollgate, &data, &out, name) };
        let product = start.run(mock.address).await.context(name)?;
        let mut keys = vec![product.key.clone()];
        if let Some(users) = users {
            let store = database.open().await?;
            keys = people::callers(&store, PLAN, users).await?;
            store.close().await;
        }
        counted.push((name, CountedProduct::new(product, vec![mock.address]).await?, keys));
        databases.push(database);
    }
    let generators = Generators { wrk: tools.path("wrk")?, h2load: None, dir: dir.path(), connections };
    let warm_each = if users.is_some() { LEASES_WARM_SECONDS } else { 0 };
    let rounds = Rounds { generators, issuer: None, out: &out, pairs, seconds, warm_each };
    let round = Duration::from_secs((seconds + warm_each) * 2);
    let recorder = Recorder::create(&out, Progress::begin(round * pairs * u32::try_from(rows.len())?))?;
    for row in rows.iter().filter_map(|name| Row::find(name)) {
        let sides = counted.iter().zip(&databases).map(|((name, counted, keys), database)| {
            let mut side = Side::tollgate(name, counted, row.request);
            (side.keys, side.database) = (keys.clone(), Some(database));
            side
        });
        let runs = rounds.measure(&row, &sides.collect::<Vec<_>>(), round, &recorder).await?;
        ensure!(runs.failed == 0, "{} requests failed", runs.failed);
        let names: Vec<&str> = runs.names.iter().rev().copied().collect();
        println!("{}, {}: {pairs} pairs of {seconds} s; {METHOD}", row.what, names.join(" to "));
        print_ratios(&runs, users.is_some(), seconds)?;
    }
    if users.is_some() {
        for (name, counted, _) in &counted {
            let ticks = metric(&counted.product, "tollgate_lease_ticks_total").await?;
            let waits = metric(&counted.product, "tollgate_lease_waits_total").await?;
            println!("{name}: {ticks} lease ticks, {waits} waits");
            ensure!(if *name == "lent" { ticks > 0 } else { waits == 0 }, "{name}: {ticks} lease ticks, {waits} waits");
        }
    }
    println!("Raw output: {}", out.display());
    Ok(true)
}

/// Prints the ratios of the second side to the first.
fn print_ratios(runs: &RowRuns, leases: bool, seconds: u64) -> anyhow::Result<()> {
    let [times, workers] = [leases.then_some(LEASES_TARGET), (!leases).then_some(STORES_TARGET)];
    let of = |round: &[SideRun], of: &dyn Fn(&SideRun) -> f64| match round {
        [first, other] => of(other) / of(first),
        _ => f64::NAN,
    };
    let elapsed = runs.median(|round| of(round, &|run| per(seconds, run.load.requests)));
    print_ratio("time per request, all processes of the machine", elapsed, times)?;
    print_ratio("CPU per request, worker threads", runs.ratio([1, 0], CpuShare::Workers), workers)?;
    print_ratio("CPU per request, all threads of tollgate", runs.ratio([1, 0], CpuShare::Total), None)?;
    let server = runs.median(|round| round.last().map_or(f64::NAN, |run| per(run.database_micros, run.load.requests)));
    println!("  PostgreSQL: {} µs per request", server.context("no run")?.text(2));
    Ok(())
}

fn print_ratio(what: &str, ratio: Option<MedianInterval>, target: Option<f64>) -> anyhow::Result<()> {
    let ratio = ratio.context("a cost is not known")?;
    let verdict = target.map_or(String::new(), |target| {
        format!("; at most {target:.2}: {}", if ratio.high <= target { "met" } else { "missed" })
    });
    println!("  {what}: {}{verdict}", ratio.text(3));
    Ok(())
}
