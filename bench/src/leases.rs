//! `leases`: what it costs that the budgets of many users are lent, or counted, or shared, beside the same users without, in
//! interleaved pairs.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::counts::metric;
use crate::database::{BenchDatabase, DatabaseKind};
use crate::pair::{CostUnit, SideRun, tollgate};
use crate::people;
use crate::product::{LIMITED, LimitSettings, MockProcess, PLAN, Product, ProductFiles};
use crate::ratio::{METHOD, Ratio};
use crate::run::out_dir;
use crate::scenario::BenchScenario;
use crate::tools::ToolPaths;
use crate::wrk::Wrk;

/// The most that the ratio of the time of a request may be where budgets are lent.
const TARGET: f64 = 1.03;
/// Before each run, so that its callers have their leases, and the other side's have gone back: two seconds after the last call.
const WARM_SECONDS: u64 = 3;
/// The rate is limited on both sides.
const RATE: LimitSettings = LimitSettings { plan: ", requests_per_minute: 4000000000", budgets: "" };
/// What all users take of together, beside what each has.
const SHARED: LimitSettings = LimitSettings {
    budgets: "budgets: {limits: [{dimension: plan, credits: 4000000000000, per: day}, {dimension: global, credits: 4000000000000, per: day}]}\n",
    ..LIMITED
};

#[derive(clap::Args, Clone)]
pub(crate) struct LeasesFlags {
    /// What is compared
    #[arg(long, value_enum, default_value = "lent")]
    what: BudgetMode,
    /// Users, each with a quota, a key, and so a lease
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    users: u32,
    /// Interleaved pairs of runs
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..=200))]
    pairs: u32,
    /// Seconds a run
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Connections of wrk
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Where the binary `tollgate` stands; by default beside this one
    #[arg(long)]
    profile_dir: Option<PathBuf>,
    /// Where raw output goes
    #[arg(long, default_value = "bench/out")]
    out: PathBuf,
}

/// What one side has and the other one has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum BudgetMode {
    /// A quota for each user, lent by PostgreSQL; or none
    Lent,
    /// A quota for each user, counted by the process, on SQLite; or none
    Counted,
    /// Two budgets that all users share, beside a quota for each, on SQLite; or the quotas alone
    Shared,
}

impl BudgetMode {
    const fn kind(self) -> DatabaseKind {
        match self {
            Self::Lent => DatabaseKind::Postgres,
            Self::Counted | Self::Shared => DatabaseKind::Sqlite,
        }
    }

    /// The one side, and the other.
    const fn sides(self) -> [(&'static str, LimitSettings); 2] {
        match self {
            Self::Lent => [("lent", LIMITED), ("free", RATE)],
            Self::Counted => [("counted", LIMITED), ("free", RATE)],
            Self::Shared => [("shared", SHARED), ("own", LIMITED)],
        }
    }
}

/// A product, its callers, and its database.
struct LeaseSide {
    name: &'static str,
    product: Product,
    keys: Vec<String>,
    database: BenchDatabase,
}

/// What a run came to.
struct LeaseRun {
    side: SideRun,
    /// Microseconds of PostgreSQL's processes. Both products share it, and the other one hardly asks meanwhile.
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

/// Measures and prints; an error where a request failed.
pub(crate) async fn run(flags: LeasesFlags) -> anyhow::Result<bool> {
    let tools = ToolPaths::find(flags.profile_dir.as_deref())?;
    let (out, dir) = (out_dir(&flags.out)?, tempfile::tempdir()?);
    let mock = MockProcess::start(&tools.tollgate, &out).await?;
    let mut running = Vec::new();
    let sides @ [(one, _), (other, _)] = flags.what.sides();
    for (name, limits) in sides {
        let database = BenchDatabase::create(flags.what.kind()).await?;
        // Of a file it is where that stands.
        let data = if database.url.is_some() { dir.path().join(name) } else { database.folder().to_owned() };
        let url = database.url.as_ref();
        let places = ProductFiles { program: &tools.tollgate, data: &data, out: &out, name, url, limits };
        let product = Product::start(&places, mock.address).await.context(name)?;
        let store = database.open().await?;
        let keys = people::callers(&store, PLAN, flags.users).await?;
        store.close().await;
        running.push(LeaseSide { name, product, keys, database });
    }
    let [lent, free] = running.as_slice() else { anyhow::bail!("two are compared") };
    println!("{}; {} users, {one} and {other}", lent.database.describe(), flags.users);
    for scenario in [BenchScenario::keyed(), BenchScenario::llm()] {
        let before = lent.lease_counts().await?;
        let mut pairs = Vec::new();
        for number in 0..flags.pairs {
            let name = format!("{number:02}");
            let measure = async |side: &LeaseSide| {
                let timed = LoadRun {
                    name: &name,
                    seconds: flags.seconds,
                    connections: flags.connections,
                    wrk: &tools.wrk,
                    dir: dir.path(),
                    out: &out,
                };
                side.run(&scenario, LoadRun { name: "warm", seconds: WARM_SECONDS, ..timed }).await?;
                side.run(&scenario, timed).await
            };
            let pair = if number % 2 == 0 {
                let lent = measure(lent).await?;
                (lent, measure(free).await?)
            } else {
                let free = measure(free).await?;
                (measure(lent).await?, free)
            };
            println!("  {}", line(scenario.name, [one, other], &pair));
            pairs.push(pair);
        }
        let after = lent.lease_counts().await?;
        let (ticks, waits) = (after.0 - before.0, after.1 - before.1);
        ensure!((ticks > 0) == (flags.what == BudgetMode::Lent), "{ticks} ticks");
        ensure!(free.lease_counts().await?.1 == 0, "where nothing is lent nobody waits");
        let counts = if flags.what == BudgetMode::Lent {
            format!("; {ticks} ticks and {waits} waits in all")
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
        // A process of the server that ends takes its time along.
        let server_micros = self.database.cpu_micros()?.1.saturating_sub(before);
        ensure!(side.wrk.failed == 0, "{}: {} requests failed", self.name, side.wrk.failed);
        std::fs::write(out.join(format!("{}-{name}-{}.txt", scenario.name, self.name)), &side.wrk.raw)?;
        Ok(LeaseRun { side, server_micros })
    }

    /// How often it has asked for leases, and how many requests have waited for one.
    async fn lease_counts(&self) -> anyhow::Result<(u64, u64)> {
        let count = async |name| metric(&self.product, name).await;
        Ok((count("tollgate_lease_ticks_total").await?, count("tollgate_lease_waits_total").await?))
    }
}

/// `of` a request.
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
    print_ratio("time of a request, everything on the machine", pairs, target, |ran| per_request(flags.seconds, ran))?;
    print_ratio("CPU of a request, worker threads", pairs, None, |ran| {
        ran.side.worker_cost(CostUnit::Request).unwrap_or(0.0)
    })?;
    print_ratio("CPU of a request, all threads of tollgate", pairs, None, |ran| ran.side.cost(CostUnit::Request))?;
    if flags.what.kind() == DatabaseKind::Postgres {
        print_ratio("CPU of a request, tollgate and the server", pairs, None, |ran| {
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
    let pairs: Vec<(f64, f64)> = pairs.iter().map(|(lent, free)| (of(lent), of(free))).collect();
    let Ratio { mean, low, high } = Ratio::of(&pairs).context("too few pairs, or a cost that is not known")?;
    let verdict = target.map_or(String::new(), |target| {
        format!("; at most {target:.2}: {}", if high <= target { "met" } else { "missed" })
    });
    println!("  {what}: {mean:.3} ({low:.3} to {high:.3}){verdict}");
    Ok(())
}
