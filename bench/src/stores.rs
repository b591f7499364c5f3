//! `stores`: the cost of an LLM call on PostgreSQL, compared with the same binary on SQLite in interleaved pairs.

use std::path::PathBuf;

use anyhow::{Context, ensure};

use crate::database::{BenchDatabase, DatabaseKind};
use crate::product::{LIMITED, MockProcess, Product, ProductFiles, ServerSettings};
use crate::ratio::{METHOD, Ratio};
use crate::run::out_dir;
use crate::scenario::BenchScenario;
use crate::side::{CostUnit, SideRun, tollgate};
use crate::tools::{BenchTool, ToolPaths};
use crate::wrk::Wrk;

/// The maximum ratio of the workers' time.
const TARGET: f64 = 1.10;

#[derive(clap::Args, Clone)]
pub(crate) struct StoresFlags {
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

/// A Tollgate on one of the stores, and the load generator for it.
struct StoreSide<'a> {
    name: &'static str,
    product: &'a Product,
    wrk: Wrk<'a>,
}

/// Runs the measurement and prints it. A failed request is an error.
pub(crate) async fn run(flags: StoresFlags) -> anyhow::Result<bool> {
    let tools = ToolPaths::find(&[BenchTool::Wrk], flags.profile_dir.as_deref())?;
    let (out, dir, wrk_program) = (out_dir(&flags.out)?, tempfile::tempdir()?, tools.path(BenchTool::Wrk)?);
    let database = BenchDatabase::create(DatabaseKind::Postgres).await?;
    println!("{}", database.describe());
    let mock = MockProcess::start(&tools.tollgate, &out).await?;
    let mut products = Vec::new();
    for (name, url) in [("sqlite", None), ("postgres", database.url.as_ref())] {
        let data = dir.path().join(name);
        let server = ServerSettings::COMPARED;
        let places =
            ProductFiles { program: &tools.tollgate, data: &data, out: &out, name, url, limits: LIMITED, server };
        products.push((name, Product::start(&places, mock.address).await.context(name)?));
    }
    let sides: Vec<StoreSide<'_>> = products
        .iter()
        .map(|(name, product)| {
            let StoresFlags { connections, seconds, .. } = flags;
            StoreSide {
                name,
                product,
                wrk: Wrk {
                    program: wrk_program,
                    dir: dir.path(),
                    keys: std::slice::from_ref(&product.key),
                    connections,
                    seconds,
                },
            }
        })
        .collect();
    let [sqlite, postgres] = sides.as_slice() else { anyhow::bail!("internal error: not two stores") };
    let (mut workers, mut all, mut server) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..flags.pairs {
        let before = database.cpu_micros()?.1;
        let (first, second) = if number % 2 == 0 { (sqlite, postgres) } else { (postgres, sqlite) };
        let (first, second) = (first.run(number, &out).await?, second.run(number, &out).await?);
        let (sqlite, postgres) = if number % 2 == 0 { (first, second) } else { (second, first) };
        server.push(database.cpu_micros()?.1 - before);
        let worker = |side: &SideRun| side.worker_cost(CostUnit::Request).context("no worker threads were found");
        workers.push((worker(&postgres)?, worker(&sqlite)?));
        all.push((postgres.cost(CostUnit::Request), sqlite.cost(CostUnit::Request)));
        println!("  {}", line(&workers, &all));
    }
    println!("{} pairs of {} s, {} connections; {METHOD}", flags.pairs, flags.seconds, flags.connections);
    print_ratio("workers", &workers, Some(TARGET))?;
    print_ratio("all threads of tollgate", &all, None)?;
    println!("PostgreSQL: {} ms of CPU per run", server.iter().sum::<u64>() / 1_000 / u64::from(flags.pairs));
    println!("Raw output: {}", out.display());
    Ok(true)
}

impl StoreSide<'_> {
    async fn run(&self, number: u32, out: &std::path::Path) -> anyhow::Result<SideRun> {
        let side = tollgate(&self.wrk, &BenchScenario::llm(), self.product).await.context(self.name)?;
        ensure!(side.wrk.failed == 0, "{}: {} requests failed", self.name, side.wrk.failed);
        std::fs::write(out.join(format!("llm-{number:02}-{}.txt", self.name)), &side.wrk.raw)?;
        Ok(side)
    }
}

/// The costs of the last pair.
fn line(workers: &[(f64, f64)], all: &[(f64, f64)]) -> String {
    let of = |pairs: &[(f64, f64)]| pairs.last().copied().unwrap_or_default();
    let ((worker, worker_sqlite), (whole, whole_sqlite)) = (of(workers), of(all));
    format!(
        "µs per call: SQLite {worker_sqlite:.2} in workers, {whole_sqlite:.2} in total; \
         PostgreSQL {worker:.2} in workers, {whole:.2} in total"
    )
}

fn print_ratio(what: &str, pairs: &[(f64, f64)], target: Option<f64>) -> anyhow::Result<()> {
    let Ratio { mean, low, high } = Ratio::of(pairs).context("too few pairs")?;
    let verdict = target.map_or(String::new(), |target| {
        format!("; at most {target:.2}: {}", if high <= target { "met" } else { "missed" })
    });
    println!("{what}: PostgreSQL to SQLite {mean:.3} ({low:.3} to {high:.3}){verdict}");
    Ok(())
}
