//! The additional processor time per request of a log line: `log.level: info` compared with `warn`.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::counts::metric;
use crate::median::MedianInterval;
use crate::plan::{LOG_LEVEL, RunPlan, WARM_SECONDS};
use crate::product::{LIMITED, MockProcess, Product, ProductFiles, ServerSettings};
use crate::raw::RunPlace;
use crate::rounds::Recorder;
use crate::scenario::BenchScenario;
use crate::side::{CostUnit, CpuShare, SideRun, tollgate};
use crate::target::Target;
use crate::wrk::Wrk;

/// The levels, in the order of the first round.
const LEVELS: [&str; 2] = ["warn", "info"];
/// The time in which all lines of a run are written.
const LINES_PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
const TARGET: Target = Target::NONE.aiming(0.5);

/// The differences in microseconds per request, and the lines of all measured runs at `info`.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct LogLevelCost {
    pub(crate) total: Option<MedianInterval>,
    pub(crate) user: Option<MedianInterval>,
    pub(crate) target: Target,
    pub(crate) requests: u64,
    pub(crate) written_lines: u64,
    pub(crate) dropped_lines: u64,
    pub(crate) failed: u64,
}

/// The programs and folders of the comparison.
pub(crate) struct LevelBench<'a> {
    pub(crate) program: &'a Path,
    pub(crate) mock: &'a MockProcess,
    pub(crate) wrk: Wrk<'a>,
    pub(crate) plan: &'a RunPlan,
}

impl LevelBench<'_> {
    /// Starts two processes, which differ in the level only, and compares them in interleaved pairs on a plain route.
    pub(crate) async fn measure(&self, recorder: &mut Recorder) -> anyhow::Result<LogLevelCost> {
        let dir = tempfile::tempdir()?;
        let mut sides = Vec::new();
        for log_level in LEVELS {
            let (data, server) = (dir.path().join(log_level), ServerSettings { log_level, ..ServerSettings::COMPARED });
            let (program, out, name) = (self.program, dir.path(), if log_level == LOG_LEVEL { "info" } else { "warn" });
            let places = ProductFiles { program, data: &data, out, name, url: None, limits: LIMITED, server };
            sides.push((log_level, Product::start(&places, self.mock.address).await.context(log_level)?));
        }
        let scenario = BenchScenario::plain();
        let warm = Wrk { seconds: WARM_SECONDS, ..self.wrk };
        for (_, product) in &sides {
            tollgate(&warm, &scenario, product).await?;
        }
        let (mut pairs, unit) = (Vec::new(), CostUnit::Request);
        let mut cost = LogLevelCost::new();
        for number in 0..self.plan.pairs {
            let mut pair = Vec::new();
            let forward = number % 2 == 0;
            for place in 0..sides.len() {
                let at = if forward { place } else { sides.len() - 1 - place };
                let (level, product) = sides.get(at).context("internal error: no such side")?;
                let run = cost.run(&self.wrk, level, product).await?;
                recorder.raw.append(RunPlace { row: LOG_LEVEL, round: number, place, side: level, unit }, &run)?;
                pair.push((*level, run));
            }
            let text = pair.iter().map(|(level, run)| format!("{level} {:.2} µs", run.cost(unit)));
            let done =
                format!("{LOG_LEVEL} {}/{}: {}", number + 1, self.plan.pairs, text.collect::<Vec<_>>().join(" | "));
            recorder.progress.step(self.plan.row_estimate(LOG_LEVEL) / self.plan.pairs, &done);
            pairs.push(pair);
        }
        cost.total = difference(&pairs, CpuShare::Total);
        cost.user = difference(&pairs, CpuShare::User);
        Ok(cost)
    }
}

impl LogLevelCost {
    const fn new() -> Self {
        Self { total: None, user: None, target: TARGET, requests: 0, written_lines: 0, dropped_lines: 0, failed: 0 }
    }

    /// One run with an empty log. It is an error if a line per request is neither written nor dropped.
    async fn run(&mut self, wrk: &Wrk<'_>, level: &str, product: &Product) -> anyhow::Result<SideRun> {
        File::options().write(true).open(&product.log)?.set_len(0)?;
        let dropped_before = metric(product, "tollgate_log_lines_dropped_total").await?;
        let run = tollgate(wrk, &BenchScenario::plain(), product).await.context(level.to_owned())?;
        self.failed += run.wrk.failed;
        if level != LOG_LEVEL {
            let lines = lines(&product.log)?;
            ensure!(lines < run.wrk.requests, "level {level} logs requests: {lines} lines");
            return Ok(run);
        }
        let deadline = Instant::now() + LINES_PATIENCE;
        loop {
            let dropped = metric(product, "tollgate_log_lines_dropped_total").await? - dropped_before;
            let written = lines(&product.log)?;
            if written + dropped >= run.wrk.requests {
                self.requests += run.wrk.requests;
                self.written_lines += written;
                self.dropped_lines += dropped;
                return Ok(run);
            }
            let requests = run.wrk.requests;
            ensure!(Instant::now() < deadline, "{requests} requests, {written} lines written, {dropped} dropped");
            sleep(PAUSE).await;
        }
    }
}

/// The additional cost of `info`, as the median of the pairs.
fn difference(pairs: &[Vec<(&str, SideRun)>], share: CpuShare) -> Option<MedianInterval> {
    let of = |pair: &[(&str, SideRun)], level: &str| {
        pair.iter().find(|(other, _)| *other == level).map(|(_, run)| run.share(share, CostUnit::Request))
    };
    let differences = pairs.iter().map(|pair| Some(of(pair, LOG_LEVEL)? - of(pair, "warn")?));
    MedianInterval::of(differences.collect::<Option<Vec<f64>>>()?)
}

fn lines(file: &Path) -> anyhow::Result<u64> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(file)?);
    let mut lines = 0;
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(lines);
        }
        lines += u64::try_from(chunk.iter().filter(|byte| **byte == b'\n').count())?;
        let length = chunk.len();
        reader.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::CpuTime;
    use crate::wrk::WrkRun;

    #[test]
    fn the_difference_is_of_each_pair() {
        let run = |total_micros| {
            let wrk = WrkRun { requests: 10, read_bytes: 0, failed: 0, raw: String::new() };
            let cpu = CpuTime { total_micros, user_micros: total_micros / 2, system_micros: total_micros / 2 };
            SideRun { wrk, cpu, workers: None }
        };
        let pair = |warn, info| vec![("info", run(info)), ("warn", run(warn))];
        let pairs = [pair(100, 106), pair(200, 204), pair(100, 108)];
        assert!((difference(&pairs, CpuShare::Total).unwrap().median - 0.6).abs() < 1e-9);
        assert!((difference(&pairs, CpuShare::User).unwrap().median - 0.3).abs() < 1e-9);
        assert_eq!(difference(&[vec![("info", run(1))]], CpuShare::Total), None);
    }

    #[test]
    fn lines_are_counted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{}\n\n{").unwrap();
        assert_eq!(lines(file.path()).unwrap(), 2);
    }
}
