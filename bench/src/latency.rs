//! The latency that proxies add at half of the smallest maximum rate: the percentiles of each proxy without those of the backend,
//! of interleaved runs at the same fixed rate.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::sleep;

use crate::client::Loader;
use crate::load::{Load, LoadKind};
use crate::open_loop::{OpenLoop, OpenLoopRun};
use crate::product::ServerConfig;
use crate::proxies::PLAIN;
use crate::report::Figure;
use crate::request::BenchRequest;
use crate::rounds::{CostUnit, Recorder, Rounds, SideRun, interleaved};
use crate::rows::{LATENCY, WARM_SECONDS};
use crate::sides::SideStart;
use crate::stats::{MedianInterval, Target};

/// The percentiles, with the maximum of the microseconds that Tollgate adds.
const PERCENTILES: [(usize, Target); 3] =
    [(50, Target::must(5_000.0)), (95, Target::must(15_000.0)), (99, Target::must(50_000.0))];
/// The rate is a multiple of this number of requests per second.
const RATE_STEP: u32 = 100;
const COLUMNS: &str = "round,place,side,requests_per_second,requests,p50_us,p95_us,p99_us,max_us,late_max_us";

/// The connections beside some other work, and their requests per second.
const OTHERS: u32 = 8;
const OTHERS_RATE: u32 = 1_000;
const SERIES_MIN: usize = 10_000;
const SCRAPE_INTERVAL: Duration = Duration::from_millis(500);
/// The end of a body that the route of [`ServerConfig::full`] has changed.
const CHANGED: &[u8] = br#","source":"bench"}"#;

/// The percentiles of a run in microseconds.
type Percentiles = [f64; 3];

/// Measures the maximum rates, then the latencies at half of the smallest. `round` is the estimated duration of a round.
pub(crate) async fn measure(
    rounds: &Rounds<'_>,
    start: &SideStart<'_>,
    round: Duration,
    recorder: &Recorder,
) -> anyhow::Result<(Vec<Figure>, u64)> {
    let request = BenchRequest::PLAIN;
    let mut sides: Vec<(&'static str, SocketAddr)> = vec![("direct", start.mock.address)];
    for proxy in &start.proxies.list {
        sides.push((proxy.name, proxy.listener(PLAIN)?));
    }
    sides.push(("tollgate", start.main.product.proxy));
    let (mut maxima, mut failed) = (Vec::new(), 0);
    for (name, address) in &sides {
        let load = |seconds| Load { kind: LoadKind::Wrk, request: &request, keys: &[], once: false, seconds };
        rounds.generators.run(load(WARM_SECONDS), *address).await.context(*name)?;
        let load = rounds.generators.run(load(rounds.seconds), *address).await.context(*name)?;
        ensure!(load.requests > 0, "{name}: no request has a response");
        maxima.push(load.requests / rounds.seconds);
        failed += load.failed;
        let run = SideRun { load, ..SideRun::default() };
        recorder.append(&format!("latency-maximum,0,0,{name}"), &run, CostUnit::Request)?;
    }
    let rate = half(maxima.iter().min().copied().context("internal error: no side")?);
    let rates: Vec<String> = sides.iter().zip(&maxima).map(|((name, _), rate)| format!("{name} {rate}")).collect();
    recorder.step(round, &format!("{LATENCY}: {rate} requests/s, at most {}", rates.join(", ")));
    let file = File::create(rounds.out.join("latency.csv"))?;
    writeln!(&file, "{COLUMNS}")?;
    let connections = rounds.generators.connections;
    let run = async |(name, address): (&'static str, SocketAddr), seconds| {
        let duration = Duration::from_secs(seconds);
        let requests = vec![request.bytes("")];
        let load = OpenLoop { address, requests, requests_per_second: rate, duration, connections };
        load.run().await.context(name)
    };
    for side in &sides {
        run(*side, WARM_SECONDS).await?;
    }
    let measure = async |number, place, at: usize| {
        let side = sides.get(at).context("internal error: no such side")?;
        let run = run(*side, rounds.seconds).await?;
        writeln!(&file, "{number},{place},{},{rate},{}", side.0, line(&run))?;
        Ok(percentiles(&run))
    };
    let done = |number: u32, figures: &[Percentiles]| {
        let text =
            sides.iter().zip(figures).map(|((name, _), [p50, _, p99])| format!("{name} p50 {p50:.0} p99 {p99:.0} µs"));
        let done = format!("{LATENCY} {}/{}: {}", number + 1, rounds.pairs, text.collect::<Vec<_>>().join(" | "));
        recorder.step(round, &done);
    };
    let measured = interleaved(rounds.pairs, sides.len(), measure, done).await?;
    let names: Vec<&str> = sides.iter().map(|(name, _)| *name).collect();
    Ok((figures(rate, &names, &measured), failed))
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
    let (address, duration) = (of.address, Duration::from_secs(rounds.seconds));
    let others = async || {
        let (requests, requests_per_second) = (vec![of.request.bytes("")], OTHERS_RATE);
        OpenLoop { address, requests, requests_per_second, duration, connections: OTHERS }.run().await
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
    Ok(Figure { what, measured: MedianInterval::of(added), target: Target::must(of.added_max) })
}

/// Measures what changes of JSON bodies of 1 MiB, one after the other, add to other connections.
pub(crate) async fn beside_changes(rounds: &Rounds<'_>, start: &SideStart<'_>) -> anyhow::Result<Figure> {
    let config = ServerConfig::full(start.proxies.origin);
    let product = start.product("tollgate-changes", config, start.mock.address).await?;
    let item = r#"{"id":12345678901234567890,"name":"caf\u00e9","price":1.10,"tags":["a","b"]}"#;
    let body = format!(r#"{{"items":[{}]}}"#, vec![item; (1 << 20) / (item.len() + 1)].join(","));
    let (address, request, rest) = (product.proxy, BenchRequest::EDITED, Duration::ZERO);
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
    let (address, request, rest) = (product.proxy, BenchRequest::PLAIN, Duration::ZERO);
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

/// The percentiles of each side over the rounds, those of proxies without the backend's of the same round. The backend is
/// the first side, and Tollgate the last one.
fn figures(rate: u32, names: &[&str], rounds: &[Vec<Percentiles>]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (side, name) in names.iter().enumerate() {
        let added = if side == 0 { "without a proxy" } else { "added" };
        for (at, (percent, target)) in PERCENTILES.into_iter().enumerate() {
            let of = |round: &Vec<Percentiles>, side: usize| round.get(side)?.get(at).copied();
            let value = |round| Some(of(round, side)? - if side == 0 { 0.0 } else { of(round, 0)? });
            figures.push(Figure {
                what: format!("µs of latency {added}, p{percent} at {rate} requests/s, {name}"),
                measured: rounds.iter().map(value).collect::<Option<_>>().and_then(MedianInterval::of),
                target: if side + 1 == names.len() { target } else { Target::NONE },
            });
        }
    }
    figures
}

/// Half of a rate, rounded down to a multiple of [`RATE_STEP`], which is the minimum.
fn half(requests_per_second: u64) -> u32 {
    let half = u32::try_from(requests_per_second / 2).unwrap_or(u32::MAX);
    (half / RATE_STEP * RATE_STEP).max(RATE_STEP)
}

fn percentiles(run: &OpenLoopRun) -> Percentiles {
    PERCENTILES.map(|(percent, _)| run.waits.percentile(percent).as_secs_f64() * 1e6)
}

fn line(run: &OpenLoopRun) -> String {
    let [p50, p95, p99] = percentiles(run);
    let [max, late] = [run.waits.percentile(100), run.late_max].map(|time| time.as_secs_f64() * 1e6);
    format!("{},{p50:.1},{p95:.1},{p99:.1},{max:.1},{late:.1}", run.requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_latency_is_that_of_the_same_round() {
        // The second round is slower by 100 µs for all sides.
        let rounds = [0.0, 100.0, 0.0].map(|slow| {
            [[50.0, 60.0, 70.0], [90.0, 110.0, 1_270.0]].map(|side| side.map(|micros| micros + slow)).to_vec()
        });
        let figures = figures(4_500, &["direct", "tollgate"], &rounds);
        let found = figures.iter().map(|figure| figure.measured.unwrap().text(0)).collect::<Vec<_>>();
        assert_eq!(found, ["50 (50 to 150)", "60 (60 to 160)", "70 (70 to 170)", "40", "50", "1200"]);
        let Figure { what, target, .. } = figures.last().unwrap();
        assert_eq!(what, "µs of latency added, p99 at 4500 requests/s, tollgate");
        assert_eq!((*target, figures[2].target), (Target::must(50_000.0), Target::NONE));
    }

    #[test]
    fn the_rate_is_a_multiple_of_a_hundred() {
        assert_eq!([13_999, 200, 7, 0].map(half), [6_900, 100, 100, 100]);
        let columns = format!("0,0,x,100,{}", line(&OpenLoopRun::default()));
        assert_eq!(columns.split(',').count(), COLUMNS.split(',').count());
    }
}
