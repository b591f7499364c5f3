//! `leases`: the cost of leased, local or shared budgets for many users, compared with users without them in
//! interleaved pairs.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::counts::metric;
use crate::database::{BenchDatabase, DatabaseKind};
use crate::people;
use crate::product::{LIMITED, LimitSettings, MockProcess, PLAN, Product, ProductFiles, ServerSettings};
use crate::ratio::{METHOD, Ratio};
use crate::run::out_dir;
use crate::scenario::BenchScenario;
use crate::side::{CostUnit, SideRun, tollgate};
use crate::tools::{BenchTool, ToolPaths};
use crate::wrk::Wrk;

/// The maximum ratio of the time per request if budgets are leased.
const TARGET: f64 = 1.03;
/// The warm-up before each run: clients receive their leases, and those of the other side return two seconds after the
/// last call.
const WARM_SECONDS: u64 = 3;
/// The comparison in which both servers apply a rate limit, and neither applies a quota or budget.
const RATE: LimitSettings = LimitSettings { plan: ", requests_per_minute: 2000000000", budgets: "" };
/// Two budgets that all users share, besides the quota of each.
const SHARED: LimitSettings = LimitSettings {
    budgets: "budgets: {limits: [{dimension: plan, credits: 4000000000000, per: day}, {dimension: global, credits: 4000000000000, per: day}]}\n",
    ..LIMITED
};

#[derive(clap::Args, Clone)]
pub(crate) struct LeasesFlags {
    /// The budgets to compare
    #[arg(long, value_enum, default_value = "lent")]
    what: BudgetMode,
    /// Users, each with a quota and a key
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    users: u32,
    /// Interleaved pairs of runs
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..=200))]
    pairs: u32,
    /// Duration of a run in seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Number of connections of wrk
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// The folder of the binary `tollgate`; by default that of this binary
    #[arg(long)]
    profile_dir: Option<PathBuf>,
    /// The folder of the raw output
    #[arg(long, default_value = "bench/out")]
    out: PathBuf,
}

/// The budgets that only one side has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum BudgetMode {
    /// A quota for each user, leased from PostgreSQL; the other side has no quota
    Lent,
    /// A quota for each user, counted by the process, on SQLite; the other side has no quota
    Counted,
    /// Two budgets that all users share, and a quota for each, on SQLite; the other side has only the quotas
    Shared,
}

impl BudgetMode {
    const fn kind(self) -> DatabaseKind {
        match self {
            Self::Lent => DatabaseKind::Postgres,
            Self::Counted | Self::Shared => DatabaseKind::Sqlite,
        }
    }

    /// The names and limits of both sides.
    const fn sides(self) -> [(&'static str, LimitSettings); 2] {
        match self {
            Self::Lent => [("lent", LIMITED), ("free", RATE)],
            Self::Counted => [("counted", LIMITED), ("free", RATE)],
            Self::Shared => [("shared", SHARED), ("own", LIMITED)],
        }
    }
}

/// A running Tollgate with its clients' keys and its database.
struct LeaseSide {
    name: &'static str,
    product: Product,
    keys: Vec<String>,
    database: BenchDatabase,
}

/// The result of a run.
struct LeaseRun {
    side: SideRun,
    /// Microseconds of PostgreSQL's processes. Both sides share it, but the idle side sends it hardly any queries.
    server_micros: u64,
}

/// One run of wrk.
#[derive(Clone, Copy)]
struct LoadRun<'a> {
    /// The number in the file name of the raw output.
    name: &'a str,
    seconds: u64,
    connections: u32,
    wrk: &'a Path,
    /// The folder of the Lua file.
    dir: &'a Path,
    /// The folder of the raw output.
    out: &'a Path,
}

/// Runs the measurement and prints it. A failed request is an error.
pub(crate) async fn run(flags: LeasesFlags) -> anyhow::Result<bool> {
    let tools = ToolPaths::find(&[BenchTool::Wrk], flags.profile_dir.as_deref())?;
    let (out, dir) = (out_dir(&flags.out)?, tempfile::tempdir()?);
    let mock = MockProcess::start(&tools.tollgate, &out).await?;
    let mut running = Vec::new();
    let sides @ [(one, _), (other, _)] = flags.what.sides();
    for (name, limits) in sides {
        let database = BenchDatabase::create(flags.what.kind()).await?;
        // SQLite's file is in the data folder.
        let data = if database.url.is_some() { dir.path().join(name) } else { database.folder().to_owned() };
        let url = database.url.as_ref();
        let server = ServerSettings::COMPARED;
        let places = ProductFiles { program: &tools.tollgate, data: &data, out: &out, name, url, limits, server };
        let product = Product::start(&places, mock.address).await.context(name)?;
        let store = database.open().await?;
        let keys = people::callers(&store, PLAN, flags.users).await?;
        store.close().await;
        running.push(LeaseSide { name, product, keys, database });
    }
    let [leased, free] = running.as_slice() else { anyhow::bail!("internal error: not two sides") };
    println!("{}; {} users, {one} and {other}", leased.database.describe(), flags.users);
    for scenario in [BenchScenario::keyed(), BenchScenario::llm()] {
        let before = leased.lease_counts().await?;
        let mut pairs = Vec::new();
        for number in 0..flags.pairs {
            let name = format!("{number:02}");
            let measure = async |side: &LeaseSide| {
                let timed = LoadRun {
                    name: &name,
                    seconds: flags.seconds,
                    connections: flags.connections,
                    wrk: tools.path(BenchTool::Wrk)?,
                    dir: dir.path(),
                    out: &out,
                };
                side.run(&scenario, LoadRun { name: "warm", seconds: WARM_SECONDS, ..timed }).await?;
                side.run(&scenario, timed).await
            };
            let pair = if number % 2 == 0 {
                let leased = measure(leased).await?;
                (leased, measure(free).await?)
            } else {
                let free = measure(free).await?;
                (measure(leased).await?, free)
            };
            println!("  {}", line(scenario.name, [one, other], &pair));
            pairs.push(pair);
        }
        let after = leased.lease_counts().await?;
        let (ticks, waits) = (after.0 - before.0, after.1 - before.1);
        ensure!((ticks > 0) == (flags.what == BudgetMode::Lent), "{ticks} ticks");
        ensure!(free.lease_counts().await?.1 == 0, "a side without leases has waiting requests");
        let counts = if flags.what == BudgetMode::Lent {
            format!("; {ticks} ticks and {waits} waits in total")
        } else {
            String::new()
        };
        println!("{}, {one} to {other}: {} pairs of {} s; {METHOD}{counts}", scenario.what, flags.pairs, flags.seconds);
        print_ratios(&flags, &pairs)?;
    }
    println!("Raw output: {}", out.display());
    Ok(true)
}

impl LeaseSide {
    async fn run(&self, scenario: &BenchScenario, load: LoadRun<'_>) -> anyhow::Result<LeaseRun> {
        let LoadRun { name, seconds, connections, wrk, dir, out } = load;
        let wrk = Wrk { program: wrk, dir, keys: &self.keys, connections, seconds };
        let before = self.database.cpu_micros()?.1;
        let side = tollgate(&wrk, scenario, &self.product).await.context(self.name)?;
        // The time of an ended server process is missing, so the difference may be negative.
        let server_micros = self.database.cpu_micros()?.1.saturating_sub(before);
        ensure!(side.wrk.failed == 0, "{}: {} requests failed", self.name, side.wrk.failed);
        std::fs::write(out.join(format!("{}-{name}-{}.txt", scenario.name, self.name)), &side.wrk.raw)?;
        Ok(LeaseRun { side, server_micros })
    }

    /// The number of lease ticks, and of requests that waited for a lease.
    async fn lease_counts(&self) -> anyhow::Result<(u64, u64)> {
        let count = async |name| metric(&self.product, name).await;
        Ok((count("tollgate_lease_ticks_total").await?, count("tollgate_lease_waits_total").await?))
    }
}

/// The amount per request.
#[expect(clippy::cast_precision_loss, reason = "below 2^52")]
fn per_request(of: u64, ran: &LeaseRun) -> f64 {
    of as f64 / ran.side.wrk.requests.max(1) as f64
}

fn line(name: &str, [one, other]: [&str; 2], pair: &(LeaseRun, LeaseRun)) -> String {
    let of =
        |ran: &LeaseRun| format!("{:.2} µs ({} requests)", ran.side.cost(CostUnit::Request), ran.side.wrk.requests);
    format!("{name:7} {one} {} | {other} {}", of(&pair.0), of(&pair.1))
}

fn print_ratios(flags: &LeasesFlags, pairs: &[(LeaseRun, LeaseRun)]) -> anyhow::Result<()> {
    let target = (flags.what == BudgetMode::Lent).then_some(TARGET);
    print_ratio("time per request, all processes of the machine", pairs, target, |ran| {
        per_request(flags.seconds, ran)
    })?;
    print_ratio("CPU per request, worker threads", pairs, None, |ran| {
        ran.side.worker_cost(CostUnit::Request).unwrap_or(0.0)
    })?;
    print_ratio("CPU per request, all threads of tollgate", pairs, None, |ran| ran.side.cost(CostUnit::Request))?;
    if flags.what.kind() == DatabaseKind::Postgres {
        print_ratio("CPU per request, tollgate and the server", pairs, None, |ran| {
            ran.side.cost(CostUnit::Request) + per_request(ran.server_micros, ran)
        })?;
    }
    Ok(())
}

fn print_ratio(
    what: &str,
    pairs: &[(LeaseRun, LeaseRun)],
    target: Option<f64>,
    of: impl Fn(&LeaseRun) -> f64,
) -> anyhow::Result<()> {
    let pairs: Vec<(f64, f64)> = pairs.iter().map(|(leased, free)| (of(leased), of(free))).collect();
    let Ratio { mean, low, high } = Ratio::of(&pairs).context("too few pairs, or a cost that is not known")?;
    let verdict = target.map_or(String::new(), |target| {
        format!("; at most {target:.2}: {}", if high <= target { "met" } else { "missed" })
    });
    println!("  {what}: {mean:.3} ({low:.3} to {high:.3}){verdict}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::tests::check_config;

    #[test]
    fn the_limits_of_all_sides_are_valid() {
        for mode in [BudgetMode::Lent, BudgetMode::Counted, BudgetMode::Shared] {
            for (_, limits) in mode.sides() {
                check_config(limits);
            }
        }
    }
}
