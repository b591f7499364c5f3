//! The latency that proxies add at a fixed rate, by default half of the smallest maximum: the percentiles of each proxy without
//! those of the backend, of interleaved runs; beside its processor time, memory, maximum rate and errors.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::{Instant, sleep};

use crate::client::Loader;
use crate::load::{Load, LoadKind, LoadRun};
use crate::open_loop::{OpenLoop, OpenLoopRun};
use crate::process::CpuAccount;
use crate::product::ServerConfig;
use crate::proxies::PLAIN;
use crate::report::{Figure, table};
use crate::request::BenchRequest;
use crate::rounds::{CostUnit, Recorder, Rounds, SideRun, interleaved, per};
use crate::rows::{LATENCY, WARM_SECONDS};
use crate::sides::SideStart;
use crate::stats::{MedianInterval, Target};

/// The columns of the table, with their decimals, and the maxima of Tollgate. Those of the processor time are for
/// [`CPU_RATE`].
const TABLE: [(&str, usize, Target); 8] = [
    ("p50 µs", 0, Target::must(5_000.0)),
    ("p95 µs", 0, Target::must(15_000.0)),
    ("p99 µs", 0, Target::must(50_000.0)),
    (CPU, 1, Target::must(50.0)),
    ("user %", 1, Target::NONE),
    ("system %", 1, Target::NONE),
    ("MiB at rest", 1, Target::must(95.0)),
    ("errors %", 3, Target::must(0.1)),
];
const PERCENTILES: [usize; 3] = [50, 95, 99];
/// The processor time as a percentage of one core.
const CPU: &str = "CPU %";
const CPU_RATE: u32 = 5_000;
/// The minimum of Tollgate's maximum rate.
const MAXIMUM_MIN: u64 = 10_000;
/// The rate is a multiple of this number of requests per second.
const RATE_STEP: u32 = 100;
const COLUMNS: &str = "round,place,side,requests_per_second,requests,failed,p50_us,p95_us,p99_us,cpu_percent,user_percent,\
    system_percent,max_us,late_max_us";

/// The connections beside some other work, and their requests per second.
const OTHERS: u32 = 8;
const OTHERS_RATE: u32 = 1_000;
const SERIES_MIN: usize = 10_000;
const SCRAPE_INTERVAL: Duration = Duration::from_millis(500);
/// The end of a body that the route of [`ServerConfig::full`] has changed.
const CHANGED: &[u8] = br#","source":"bench"}"#;

/// The percentiles of a run in microseconds, then all, user and system time in percent of one core.
type RunFigures = [f64; 6];

/// What latencies are measured with.
pub(crate) struct LatencyPlan<'a> {
    /// The estimated duration of a round.
    pub(crate) round: Duration,
    pub(crate) rate: Option<u32>,
    /// The memory at rest of the proxies and, last, of Tollgate.
    pub(crate) at_rest_kib: &'a [u64],
    /// Whether the measurement is large enough to be quoted.
    pub(crate) is_result: bool,
}

/// A server, and its load at the maximum rate.
struct LatencySide<'a> {
    name: &'static str,
    address: SocketAddr,
    /// The processor time and the memory at rest, except of the backend.
    program: Option<(&'a CpuAccount, u64)>,
    maximum: LoadRun,
}

/// The figures of one run, and its failed requests of all.
#[derive(Debug, Clone, Copy, Default)]
struct LatencyRun {
    figures: RunFigures,
    failed: u64,
    requests: u64,
}

/// Measures the maximum rates, then the latencies at the rate of the plan. Returns the table and the number of failed requests.
pub(crate) async fn measure(
    rounds: &Rounds<'_>,
    start: &SideStart<'_>,
    plan: &LatencyPlan<'_>,
    recorder: &Recorder,
) -> anyhow::Result<(String, u64)> {
    let mut sides = sides(start, plan.at_rest_kib)?;
    for side in &mut sides {
        side.maximum = maximum(rounds, side, recorder).await.context(side.name)?;
    }
    let maxima = sides.iter().map(|side| side.maximum.requests / rounds.seconds);
    let lowest = maxima.clone().min().context("internal error: no side")?;
    let rate = plan.rate.unwrap_or_else(|| half(lowest));
    ensure!(
        plan.rate.is_none() || u64::from(rate) < lowest,
        "one side has at most {lowest} requests/s, less than {rate}"
    );
    let rates: Vec<String> = sides.iter().zip(maxima).map(|(side, rate)| format!("{} {rate}", side.name)).collect();
    recorder.step(plan.round, &format!("{LATENCY}: {rate} requests/s, at most {}", rates.join(", ")));
    let file = File::create(rounds.out.join("latency.csv"))?;
    writeln!(&file, "{COLUMNS}")?;
    for side in &sides {
        run(rounds, side, rate, WARM_SECONDS).await?;
    }
    let measure = async |number, place, at: usize| {
        let side = sides.get(at).context("internal error: no such side")?;
        let (figures, run) = run(rounds, side, rate, rounds.seconds).await?;
        writeln!(&file, "{number},{place},{},{rate},{}", side.name, line(&figures, &run))?;
        Ok(LatencyRun { figures, failed: run.failed, requests: run.requests })
    };
    let done = |number: u32, runs: &[LatencyRun]| {
        let text = sides.iter().zip(runs).map(|(side, LatencyRun { figures: [p50, _, p99, ..], .. })| {
            format!("{} p50 {p50:.0} p99 {p99:.0} µs", side.name)
        });
        let done = format!("{LATENCY} {}/{}: {}", number + 1, rounds.pairs, text.collect::<Vec<_>>().join(" | "));
        recorder.step(plan.round, &done);
    };
    let measured = interleaved(rounds.pairs, sides.len(), measure, done).await?;
    let failed =
        measured.iter().flatten().map(|run| run.failed).chain(sides.iter().map(|side| side.maximum.failed)).sum();
    Ok((latencies(rate, &sides, &measured, rounds.seconds, plan.is_result), failed))
}

/// The backend, the proxies, and Tollgate.
fn sides<'a>(start: &'a SideStart<'_>, at_rest_kib: &[u64]) -> anyhow::Result<Vec<LatencySide<'a>>> {
    let side = |name, address, program| LatencySide { name, address, program, maximum: LoadRun::default() };
    let mut sides = vec![side("without a proxy", start.mock.address, None)];
    let tollgate = &start.main.product;
    let mut programs: Vec<(&'static str, SocketAddr, &CpuAccount)> = Vec::new();
    for proxy in &start.proxies.list {
        programs.push((proxy.name, proxy.listener(PLAIN)?, &proxy.group.account));
    }
    programs.push(("tollgate", tollgate.proxy, &tollgate.group.account));
    let with_memory = programs.into_iter().zip(at_rest_kib);
    sides.extend(with_memory.map(|((name, address, account), kib)| side(name, address, Some((account, *kib)))));
    Ok(sides)
}

/// Measures the maximum rate of a side.
async fn maximum(rounds: &Rounds<'_>, side: &LatencySide<'_>, recorder: &Recorder) -> anyhow::Result<LoadRun> {
    let request = BenchRequest::PLAIN;
    let load = |seconds| Load { kind: LoadKind::Wrk, request: &request, keys: &[], once: false, seconds };
    rounds.generators.run(load(WARM_SECONDS), side.address).await?;
    let load = rounds.generators.run(load(rounds.seconds), side.address).await?;
    ensure!(load.requests > 0, "no request has a response");
    let run = SideRun { load: load.clone(), ..SideRun::default() };
    recorder.append(&format!("latency-maximum,0,0,{}", side.name), &run, CostUnit::Request)?;
    Ok(load)
}

/// Runs one side at a fixed rate.
async fn run(
    rounds: &Rounds<'_>,
    side: &LatencySide<'_>,
    rate: u32,
    seconds: u64,
) -> anyhow::Result<(RunFigures, OpenLoopRun)> {
    let requests = vec![BenchRequest::PLAIN.bytes("")];
    let duration = Duration::from_secs(seconds);
    let connections = rounds.generators.connections;
    let load = OpenLoop { address: side.address, requests, requests_per_second: rate, duration, connections };
    let time = || side.program.map(|(account, _)| account.time()).transpose();
    let before = time()?;
    let began = Instant::now();
    let run = load.run().await.context(side.name)?;
    let micros = u64::try_from(began.elapsed().as_micros())?;
    if let Some(failure) = &run.first_failure {
        println!("warning: {}: {} requests failed, the first with: {failure}", side.name, run.failed);
    }
    let cpu = time()?.zip(before).map(|(after, before)| after.since(before));
    let cpu = cpu.map_or([f64::NAN; 3], |cpu| {
        [cpu.total_micros, cpu.user_micros, cpu.system_micros].map(|time| per(time * 100, micros))
    });
    let [[p50, p95, p99], [total, user, system]] = [percentiles(&run), cpu];
    Ok(([p50, p95, p99, total, user, system], run))
}

/// Connections whose latency is measured beside some other work of Tollgate.
pub(crate) struct OtherConnections {
    pub(crate) address: SocketAddr,
    pub(crate) request: BenchRequest,
    /// The work, and the maximum of the milliseconds that it may add.
    pub(crate) work: &'static str,
    pub(crate) added_max: f64,
    /// The time after which the work has no more effect.
    pub(crate) rest: Duration,
}

/// Measures the milliseconds that `load`, which continues until an error, adds to the 99th percentile of the connections.
pub(crate) async fn added_p99(
    rounds: &Rounds<'_>,
    of: &OtherConnections,
    load: impl AsyncFn() -> anyhow::Result<()>,
) -> anyhow::Result<Figure> {
    let address = of.address;
    let duration = Duration::from_secs(rounds.seconds);
    let others = async || {
        let requests = vec![of.request.bytes("")];
        let requests_per_second = OTHERS_RATE;
        let load = OpenLoop { address, requests, requests_per_second, duration, connections: OTHERS };
        load.run().await?.succeeded()
    };
    others().await?;
    let mut added = Vec::new();
    for _ in 0..rounds.pairs {
        let alone = others().await?;
        let beside = tokio::select! {
            beside = others() => beside?,
            ended = load() => return Err(ended.err().context("internal error: no load")?),
        };
        sleep(of.rest).await;
        let p99 = |run: &OpenLoopRun| run.waits.percentile(99).as_secs_f64() * 1e3;
        added.push(p99(&beside) - p99(&alone));
    }
    let what = format!("ms added to the p99 of {OTHERS} connections by {}", of.work);
    Ok(Figure { what, measured: MedianInterval::from_values(added), target: Target::must(of.added_max) })
}

/// Measures what changes of JSON bodies of 1 MiB, one after the other, add to other connections.
pub(crate) async fn beside_changes(rounds: &Rounds<'_>, start: &SideStart<'_>) -> anyhow::Result<Figure> {
    let config = ServerConfig::full(start.proxies.origin);
    let product = start.product("tollgate-changes", config, start.mock.address).await?;
    let item = r#"{"id":12345678901234567890,"name":"caf\u00e9","price":1.10,"tags":["a","b"]}"#;
    let body = format!(r#"{{"items":[{}]}}"#, vec![item; (1 << 20) / (item.len() + 1)].join(","));
    let address = product.proxy;
    let request = BenchRequest::EDITED;
    let rest = Duration::ZERO;
    let work = "changes of JSON bodies of 1 MiB";
    let others = OtherConnections { address, request, work, added_max: 2.0, rest };
    added_p99(rounds, &others, async || {
        let mut loader = Loader::connect(product.proxy, None).await?;
        loop {
            let response = loader.send("POST", "/echo/json", &body).await?;
            ensure!(response.status == 200 && response.body.ends_with(CHANGED), "the body has no change");
        }
    })
    .await
}

/// Measures what readings of the metrics, of at least [`SERIES_MIN`] series, add to other connections.
pub(crate) async fn beside_scrapes(rounds: &Rounds<'_>, start: &SideStart<'_>) -> anyhow::Result<Figure> {
    let product = start.product("tollgate-scrapes", ServerConfig::series(), start.mock.address).await?;
    let address = product.proxy;
    let request = BenchRequest::PLAIN;
    let rest = Duration::ZERO;
    let work = "scrapes of 10,000 series, two a second";
    let others = OtherConnections { address, request, work, added_max: 1.0, rest };
    added_p99(rounds, &others, async || {
        let mut loader = Loader::connect(product.control, Some(&product.key)).await?;
        loop {
            let response = loader.get("/metrics").await?;
            let series = response.body.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#"));
            ensure!(series.count() > SERIES_MIN, "the metrics have too few series");
            sleep(SCRAPE_INTERVAL).await;
        }
    })
    .await
}

/// The table of all sides over the rounds. The latencies are without those of the backend in the same round; the backend is
/// the first side, and Tollgate, which has targets, the last one.
fn latencies(
    rate: u32,
    sides: &[LatencySide<'_>],
    rounds: &[Vec<LatencyRun>],
    seconds: u64,
    is_result: bool,
) -> String {
    let names: Vec<&str> = TABLE.iter().map(|(name, ..)| *name).collect();
    let head = format!("| added at {rate} requests/s | {} | requests/s at most |", names.join(" | "));
    let target =
        |(name, _, most): (&str, usize, Target)| if name == CPU && rate != CPU_RATE { Target::NONE } else { most };
    let [mut must, mut verdicts] = ["must", "verdict"].map(|name| vec![name.to_owned()]);
    must.extend(TABLE.map(|column| target(column).cells()).map(|[must, _]| must));
    must.push(format!("at least {MAXIMUM_MIN}"));
    let mut rows = Vec::new();
    for (at, side) in sides.iter().enumerate() {
        let found = side_figures(at, side, rounds);
        let cells = found.iter().zip(TABLE).map(|(found, (_, decimals, _))| found.map(|found| found.text(decimals)));
        let maximum = side.maximum.requests / seconds;
        let mut row = vec![side.name.to_owned()];
        row.extend(cells.map(Option::unwrap_or_default).chain([maximum.to_string()]));
        rows.push(row);
        if at + 1 == sides.len() {
            verdicts.extend(found.iter().zip(TABLE).map(|(found, column)| target(column).verdict(*found, is_result)));
            let is_met = if maximum >= MAXIMUM_MIN { "met" } else { "missed" };
            verdicts.push(if is_result { is_met.to_owned() } else { String::from("no result") });
        }
    }
    rows.extend([must, verdicts]);
    table(&head, &rows)
}

/// The figures of a side, in the order of [`TABLE`].
fn side_figures(at: usize, side: &LatencySide<'_>, rounds: &[Vec<LatencyRun>]) -> Vec<Option<MedianInterval>> {
    let added = |round: &Vec<LatencyRun>| {
        let mut figures = round.get(at)?.figures;
        let direct = round.first()?.figures;
        let latencies = figures.iter_mut().zip(direct).take(if at == 0 { 0 } else { PERCENTILES.len() });
        for (figure, direct) in latencies {
            *figure -= direct;
        }
        Some(figures)
    };
    let runs: Vec<RunFigures> = rounds.iter().filter_map(added).collect();
    let of_column = |column: usize| runs.iter().filter_map(|run| run.get(column).copied()).collect();
    let mut found: Vec<_> =
        (0..RunFigures::default().len()).map(|column| MedianInterval::from_values(of_column(column))).collect();
    let of_side = || rounds.iter().filter_map(|round| round.get(at));
    let failed = side.maximum.failed + of_side().map(|run| run.failed).sum::<u64>();
    let requests = side.maximum.requests + of_side().map(|run| run.requests).sum::<u64>();
    found.push(side.program.and_then(|(_, kib)| MedianInterval::from_values(vec![per(kib, 1_024)])));
    found.push(MedianInterval::from_values(vec![per(failed * 100, requests)]));
    found
}

/// Half of a rate, rounded down to a multiple of [`RATE_STEP`], which is the minimum.
fn half(requests_per_second: u64) -> u32 {
    let half = u32::try_from(requests_per_second / 2).unwrap_or(u32::MAX);
    (half / RATE_STEP * RATE_STEP).max(RATE_STEP)
}

fn percentiles(run: &OpenLoopRun) -> [f64; 3] {
    PERCENTILES.map(|percent| run.waits.percentile(percent).as_secs_f64() * 1e6)
}

fn line(figures: &RunFigures, run: &OpenLoopRun) -> String {
    let [max, late] = [run.waits.percentile(100), run.late_max].map(|time| time.as_secs_f64() * 1e6);
    let figures = figures.map(|figure| format!("{figure:.1}")).join(",");
    format!("{},{},{figures},{max:.1},{late:.1}", run.requests, run.failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_latency_is_that_of_the_same_round_and_errors_are_of_all_requests() {
        // The second round is slower by 100 µs for all sides.
        let rounds = [0.0, 100.0, 0.0].map(|slow| {
            let run = |micros: [f64; 3], [total, user, system]: [f64; 3], failed| {
                let [p50, p95, p99] = micros.map(|micros| micros + slow);
                LatencyRun { figures: [p50, p95, p99, total, user, system], failed, requests: 1_000 }
            };
            vec![run([50.0, 60.0, 70.0], [f64::NAN; 3], 0), run([90.0, 110.0, 1_270.0], [60.0, 40.0, 20.0], 2)]
        });
        let account = CpuAccount::Tree { root: 1 };
        let side = |name, program, requests| {
            let address = SocketAddr::from(([127, 0, 0, 1], 1));
            let maximum = LoadRun { requests, ..LoadRun::default() };
            LatencySide { name, address, program, maximum }
        };
        let sides = [side("without a proxy", None, 100_000), side("tollgate", Some((&account, 10_240)), 17_000)];
        let lines = |rate, is_result| {
            let table = latencies(rate, &sides, &rounds, 1, is_result);
            table.trim().lines().skip(2).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            lines(5_000, true),
            [
                "| without a proxy | 50 (50 to 150) | 60 (60 to 160) | 70 (70 to 170) |  |  |  |  | 0.000 | 100000 |",
                "| tollgate | 40 | 50 | 1200 | 60.0 | 40.0 | 20.0 | 10.0 | 0.030 | 17000 |",
                "| must | 5000 | 15000 | 50000 | 50 |  |  | 95 | 0.1 | at least 10000 |",
                "| verdict | met | met | met | missed by 20% |  |  | met | met | met |",
            ]
        );
        let other = lines(6_000, false);
        assert_eq!(other[2], "| must | 5000 | 15000 | 50000 |  |  |  | 95 | 0.1 | at least 10000 |");
        assert!(other[3].contains("no result") && !other[3].contains("met"), "{}", other[3]);
    }

    #[test]
    fn the_rate_is_a_multiple_of_a_hundred() {
        assert_eq!([13_999, 200, 7, 0].map(half), [6_900, 100, 100, 100]);
        let columns = format!("0,0,x,100,{}", line(&RunFigures::default(), &OpenLoopRun::default()));
        assert_eq!(columns.split(',').count(), COLUMNS.split(',').count());
    }
}
