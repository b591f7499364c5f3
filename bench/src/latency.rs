//! The latency that proxies add at half of the smallest maximum rate: the percentiles of each proxy without those of the backend,
//! of interleaved runs at the same fixed rate.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::median::MedianInterval;
use crate::open_loop::{OpenLoop, OpenLoopRun};
use crate::order::{Side, orders};
use crate::plan::{LATENCY, WARM_SECONDS};
use crate::raw::RunPlace;
use crate::rounds::{Bench, Recorder};
use crate::scenario::BenchScenario;
use crate::side::{CostUnit, SideRun};
use crate::target::Target;
use crate::wrk::Wrk;

/// The sides, without those that do not run.
const SIDES: [Side; 6] = [Side::Direct, Side::Nginx, Side::Haproxy, Side::Envoy, Side::Traefik, Side::Tollgate];
/// The percentiles, with the maximum of the milliseconds that Tollgate adds.
const PERCENTILES: [(usize, Target); 3] = [(50, Target::must(5.0)), (95, Target::must(15.0)), (99, Target::must(50.0))];
/// The rate is a multiple of this number of requests per second.
const RATE_STEP: u32 = 100;
const COLUMNS: &str = "round,place,side,requests_per_second,requests,p50_us,p95_us,p99_us,max_us,late_max_us";

/// The result of the row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LatencyResult {
    pub(crate) requests_per_second: u32,
    pub(crate) sides: Vec<LatencySide>,
    /// The number of failed requests of the runs for the maximum rates. A failure at the fixed rate is an error.
    pub(crate) failed: u64,
}

/// The figures of one side, in microseconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LatencySide {
    pub(crate) side: Side,
    /// The requests per second with wrk.
    pub(crate) maximum_rate: u64,
    /// The percentiles of [`PERCENTILES`].
    pub(crate) whole: [Option<MedianInterval>; 3],
    /// The same without the backend's of the same round.
    pub(crate) added: [Option<MedianInterval>; 3],
}

/// The percentiles of a run in microseconds.
type Percentiles = [f64; 3];

/// Measures the maximum rates, then the latencies at half of the smallest.
pub(crate) async fn measure(bench: &Bench<'_>, recorder: &mut Recorder) -> anyhow::Result<LatencyResult> {
    let is_running =
        |side: &Side| matches!(side, Side::Direct | Side::Tollgate) || bench.references.get(*side).is_some();
    let sides: Vec<Side> = SIDES.into_iter().filter(is_running).collect();
    // All responses are equal.
    bench.unit(&BenchScenario::plain(), &sides).await?;
    let steps = bench.plan.pairs + 1;
    let estimate = bench.plan.row_estimate(LATENCY) / steps;
    let (maxima, failed) = maximum_rates(bench, &sides, recorder).await?;
    let smallest = maxima.values().min().copied().context("internal error: no side")?;
    let rate = half(smallest);
    recorder.progress.step(estimate, &format!("{LATENCY}: {rate} requests/s, at most {}", rates(&maxima)));
    let mut file = File::create(bench.out.join("latency.csv"))?;
    writeln!(file, "{COLUMNS}")?;
    for side in &sides {
        run(bench, *side, rate, WARM_SECONDS).await?;
    }
    let mut rounds = Vec::new();
    for (number, order) in (0..bench.plan.pairs).zip(orders(&sides).iter().cycle()) {
        let mut round = BTreeMap::new();
        for (place, side) in order.iter().enumerate() {
            let run = run(bench, *side, rate, bench.plan.seconds).await?;
            writeln!(file, "{number},{place},{},{rate},{}", side.name(), line(&run))?;
            round.insert(*side, percentiles(&run));
        }
        let done = format!("{LATENCY} {}/{}: {}", number + 1, bench.plan.pairs, round_line(&round));
        recorder.progress.step(estimate, &done);
        rounds.push(round);
    }
    let of = |side: &Side| LatencySide::of(*side, maxima.get(side).copied().unwrap_or_default(), &rounds);
    Ok(LatencyResult { requests_per_second: rate, sides: sides.iter().map(of).collect(), failed })
}

/// The requests per second of each side with wrk, and the number of failed requests.
async fn maximum_rates(
    bench: &Bench<'_>,
    sides: &[Side],
    recorder: &mut Recorder,
) -> anyhow::Result<(BTreeMap<Side, u64>, u64)> {
    let (scenario, mut maxima, mut failed) = (BenchScenario::plain(), BTreeMap::new(), 0);
    for (place, side) in sides.iter().enumerate() {
        let address = bench.address(*side, &scenario)?;
        Wrk { seconds: WARM_SECONDS, ..bench.wrk }.run(&scenario, address).await.context(side.name())?;
        let wrk = bench.wrk.run(&scenario, address).await.context(side.name())?;
        ensure!(wrk.requests > 0, "{}: no request has a response", side.name());
        maxima.insert(*side, wrk.requests / bench.wrk.seconds);
        failed += wrk.failed;
        let run = SideRun { wrk, cpu: crate::cpu::CpuTime::default(), workers: None };
        let place = RunPlace { row: "latency-maximum", round: 0, place, side: side.name(), unit: CostUnit::Request };
        recorder.raw.append(place, &run)?;
    }
    Ok((maxima, failed))
}

async fn run(bench: &Bench<'_>, side: Side, rate: u32, seconds: u64) -> anyhow::Result<OpenLoopRun> {
    let scenario = BenchScenario::plain();
    let load = OpenLoop {
        address: bench.address(side, &scenario)?,
        request: scenario.request(""),
        requests_per_second: rate,
        duration: Duration::from_secs(seconds),
        connections: bench.plan.connections,
    };
    load.run().await.context(side.name())
}

impl LatencySide {
    fn of(side: Side, maximum_rate: u64, rounds: &[BTreeMap<Side, Percentiles>]) -> Self {
        let figure = |of: &dyn Fn(&BTreeMap<Side, Percentiles>) -> Option<Percentiles>| {
            let values: Option<Vec<Percentiles>> = rounds.iter().map(of).collect();
            let values = values.unwrap_or_default();
            let [p50, p95, p99] = [0, 1, 2].map(|at| {
                MedianInterval::of(values.iter().filter_map(|percentiles| percentiles.get(at).copied()).collect())
            });
            [p50, p95, p99]
        };
        let added = |round: &BTreeMap<Side, Percentiles>| {
            let ([p50, p95, p99], [direct50, direct95, direct99]) = (round.get(&side)?, round.get(&Side::Direct)?);
            Some([p50 - direct50, p95 - direct95, p99 - direct99])
        };
        Self { side, maximum_rate, whole: figure(&|round| round.get(&side).copied()), added: figure(&added) }
    }
}

impl LatencyResult {
    /// The table of all sides, in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "Latency in µs at {} requests/s, half of the smallest maximum; proxies without the time of the backend (direct):\n\n\
             | side | maximum, requests/s | p50 | p95 | p99 |\n|---|---|---|---|---|\n",
            self.requests_per_second
        );
        for LatencySide { side, maximum_rate, whole, added } in &self.sides {
            let figures = if *side == Side::Direct { whole } else { added };
            let [p50, p95, p99] = figures.map(|figure| {
                figure.map_or(String::from("not measured"), |MedianInterval { median, low, high }| {
                    format!("{median:.0} ({low:.0} to {high:.0})")
                })
            });
            // A write to a string does not fail.
            let _ = writeln!(text, "| {} | {maximum_rate} | {p50} | {p95} | {p99} |", side.name());
        }
        text
    }

    /// The figures with targets: the milliseconds that Tollgate adds.
    pub(crate) fn figures(&self) -> Vec<(String, Option<MedianInterval>, Target)> {
        let tollgate = self.sides.iter().find(|side| side.side == Side::Tollgate);
        let figures = tollgate.into_iter().flat_map(|side| PERCENTILES.into_iter().zip(side.added));
        let figure = |((percent, target), added): ((usize, Target), Option<MedianInterval>)| {
            let millis = added.map(|MedianInterval { median, low, high }| MedianInterval {
                median: median / 1_000.0,
                low: low / 1_000.0,
                high: high / 1_000.0,
            });
            (format!("ms of latency added, p{percent} at {} requests/s", self.requests_per_second), millis, target)
        };
        figures.map(figure).collect()
    }
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

fn rates(maxima: &BTreeMap<Side, u64>) -> String {
    maxima.iter().map(|(side, rate)| format!("{} {rate}", side.name())).collect::<Vec<_>>().join(", ")
}

fn round_line(round: &BTreeMap<Side, Percentiles>) -> String {
    let side = |(side, [p50, _, p99]): (&Side, &Percentiles)| format!("{} p50 {p50:.0} p99 {p99:.0} µs", side.name());
    round.iter().map(side).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_latency_is_that_of_the_same_round() {
        // The second round is slower by 100 µs for all sides.
        let rounds = [0.0, 100.0, 0.0].map(|slow| {
            BTreeMap::from([
                (Side::Direct, [50.0, 60.0, 70.0].map(|micros| micros + slow)),
                (Side::Tollgate, [90.0, 110.0, 1_270.0].map(|micros| micros + slow)),
            ])
        });
        let sides = [Side::Direct, Side::Tollgate].map(|side| LatencySide::of(side, 9_000, &rounds)).to_vec();
        let result = LatencyResult { requests_per_second: 4_500, sides, failed: 0 };
        let table = result.table();
        assert!(table.contains("| direct | 9000 | 50 (50 to 150) | 60 (60 to 160) | 70 (70 to 170) |\n"), "{table}");
        assert!(
            table.contains("| tollgate | 9000 | 40 (40 to 40) | 50 (50 to 50) | 1200 (1200 to 1200) |\n"),
            "{table}"
        );
        let figures = result.figures();
        let (what, figure, target) = figures.last().unwrap();
        assert_eq!((what.as_str(), *target), ("ms of latency added, p99 at 4500 requests/s", Target::must(50.0)));
        assert!((figure.unwrap().median - 1.2).abs() < 1e-9);
    }

    #[test]
    fn the_rate_is_a_multiple_of_a_hundred() {
        assert_eq!([13_999, 200, 7, 0].map(half), [6_900, 100, 100, 100]);
    }

    #[test]
    fn a_line_has_a_value_for_each_column() {
        let columns = format!("0,0,x,100,{}", line(&OpenLoopRun::default()));
        assert_eq!(columns.split(',').count(), COLUMNS.split(',').count());
    }
}
