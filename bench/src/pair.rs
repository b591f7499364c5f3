//! Rows that compare two sides in interleaved runs: Tollgate with itself under another configuration or load, or with nginx
//! over HTTP/2 and TLS.

use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::counts::drained;
use crate::h2load::{H2load, H2loadMode};
use crate::load_counts::LoadCounts;
use crate::median::MedianInterval;
use crate::pair_row::{PairFigure, PairKind, PairLoad, PairRow, TOKENS_A_RUN};
use crate::pair_side::{PairBench, PairServer, PairSide, Reached, SideCredentials};
use crate::plan::WARM_SECONDS;
use crate::product::{MockProcess, WORKER_THREADS};
use crate::raw::RunPlace;
use crate::rounds::Recorder;
use crate::scenario::BenchScenario;
use crate::side::{CostUnit, SideRun};
use crate::target::Target;
use crate::wrk::{Wrk, WrkRun};

/// The result of a row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PairResult {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) sides: [&'static str; 2],
    /// Microseconds per request, or percent of one core.
    pub(crate) figures: [Option<MedianInterval>; 2],
    /// The second figure, compared with the first of the same round.
    pub(crate) compared: Option<MedianInterval>,
    /// The same of the time of worker threads, of rows whose sides are both Tollgate.
    pub(crate) workers: Option<MedianInterval>,
    pub(crate) figure: PairFigure,
    pub(crate) target: Target,
    /// The number of failed requests of both sides.
    pub(crate) failed: u64,
    /// The counts of each Tollgate.
    pub(crate) counts: Vec<LoadCounts>,
}

/// The figures of a run: microseconds per request, or percent of one core.
#[derive(Debug, Clone, Copy, Default)]
struct RunFigure {
    total: f64,
    /// Microseconds per request of Tollgate's worker threads; not a number for nginx.
    workers: f64,
}

impl PairBench<'_> {
    /// Runs each side once without measurement, then the rounds.
    pub(crate) async fn measure(&self, row: &PairRow, recorder: &mut Recorder) -> anyhow::Result<PairResult> {
        let dir = tempfile::tempdir()?;
        let second = match row.kind {
            PairKind::Backends => Some(MockProcess::start_named(self.program, dir.path(), "mock-second").await?),
            PairKind::Routes | PairKind::Http2 | PairKind::Tls | PairKind::Rate | PairKind::Keys | PairKind::Cold => {
                None
            }
        };
        let sides = self.sides(row.kind, dir.path(), second.as_ref()).await?;
        let mocks = [Some(self.mock), second.as_ref()].into_iter().flatten();
        let backends: Vec<SocketAddr> = mocks.map(|mock| mock.address).collect();
        let run = async |side, seconds| self.run(row, side, &backends, seconds).await;
        for side in &sides {
            let warm = run(side, row.warm_seconds(WARM_SECONDS)).await?;
            ensure!(warm.wrk.failed == 0, "{}: {} requests failed:\n{}", side.name, warm.wrk.failed, warm.wrk.raw);
        }
        let seconds = row.seconds(self.plan.seconds);
        let (mut rounds, mut failed, unit) = (Vec::new(), 0, CostUnit::Request);
        for number in 0..self.plan.pairs {
            let mut figures = [RunFigure::default(); 2];
            for place in 0..sides.len() {
                let at = if number % 2 == 0 { place } else { sides.len() - 1 - place };
                let (side, figure) = sides.get(at).zip(figures.get_mut(at)).context("internal error: no such side")?;
                let run = run(side, seconds).await?;
                recorder.raw.append(RunPlace { row: row.name, round: number, place, side: side.name, unit }, &run)?;
                failed += run.wrk.failed;
                figure.workers = run.worker_cost(unit).unwrap_or(f64::NAN);
                figure.total = match row.load.rate() {
                    Some(rate) => self.percent(&run, rate)?,
                    None => run.cost(unit),
                };
            }
            let [first, other] = figures.map(|figure| figure.total);
            let ([first_name, other_name], pairs) = (names(&sides), self.plan.pairs);
            let done =
                format!("{} {}/{pairs}: {first_name} {first:.2} | {other_name} {other:.2}", row.name, number + 1);
            recorder.progress.step(self.plan.row_estimate(row.name) / self.plan.pairs, &done);
            rounds.push(figures);
        }
        let counts = counts(row.name, &sides).await?;
        Ok(PairResult::of(row, names(&sides), &rounds, failed).with(counts))
    }

    /// One run of a side. The time of Tollgate includes the drain of the spool, if requests have a credential.
    async fn run(
        &self,
        row: &PairRow,
        side: &PairSide<'_>,
        backends: &[SocketAddr],
        seconds: u64,
    ) -> anyhow::Result<SideRun> {
        let new = match &side.credentials {
            SideCredentials::NewTokens => self.issuer.tokens(TOKENS_A_RUN)?,
            SideCredentials::Listed(_) => Vec::new(),
        };
        let (reached, account) = (Reached::read(backends).await?, side.server.account());
        let (before, workers_before) = (account.time()?, account.thread_time(WORKER_THREADS)?);
        let wrk = match &row.load {
            PairLoad::Wrk(scenario) => self.wrk(scenario, side, &new, seconds).await,
            PairLoad::H2load(mode) => self.h2load(*mode, side, seconds).await,
        };
        if let (PairServer::Tollgate(counted), true) = (&side.server, row.load.has_credential()) {
            drained(&counted.product).await?;
        }
        let cpu = account.time()?.since(before);
        let workers = account.thread_time(WORKER_THREADS)?.since(workers_before);
        let run = SideRun { wrk: wrk.context(side.name)?, cpu, workers: (workers.total_micros > 0).then_some(workers) };
        if let PairServer::Tollgate(counted) = &side.server {
            counted.add(reached, side.has_counted_key(), row.load.open(self.plan.connections)).await?;
        }
        Ok(run)
    }

    async fn wrk(
        &self,
        scenario: &BenchScenario,
        side: &PairSide<'_>,
        new: &[String],
        seconds: u64,
    ) -> anyhow::Result<WrkRun> {
        let (keys, scenario) = match &side.credentials {
            SideCredentials::Listed(keys) => (keys.as_slice(), scenario.clone()),
            SideCredentials::NewTokens => (new, BenchScenario::cold()),
        };
        let run = Wrk { keys, seconds, ..self.wrk }.run(&scenario, side.address).await?;
        let prepared = u64::try_from(keys.len())?;
        ensure!(!scenario.once || run.requests <= prepared, "{} requests of {prepared} tokens", run.requests);
        Ok(run)
    }

    async fn h2load(&self, mode: H2loadMode, side: &PairSide<'_>, seconds: u64) -> anyhow::Result<WrkRun> {
        let key = match &side.credentials {
            SideCredentials::Listed(keys) => keys.first().map(String::as_str),
            SideCredentials::NewTokens => None,
        };
        let path = if key.is_some() { BenchScenario::keyed().path } else { BenchScenario::plain().path };
        H2load { program: self.h2load, seconds }.run(mode, side.address, path, key).await
    }

    /// Returns the processor time as percent of one core. A result needs the whole rate: at a lower one, a request costs
    /// more, because each wake-up serves fewer requests.
    fn percent(&self, run: &SideRun, rate: u64) -> anyhow::Result<f64> {
        let (sent, due) = (run.wrk.requests, rate * self.plan.seconds);
        let is_reached = sent * 10 >= due * 9;
        ensure!(is_reached || !self.plan.is_result(), "{sent} of {due} requests in {} s", self.plan.seconds);
        Ok(percent(run.cost(CostUnit::Request), rate))
    }
}

impl PairResult {
    fn of(row: &PairRow, sides: [&'static str; 2], rounds: &[[RunFigure; 2]], failed: u64) -> Self {
        let median = |of: &dyn Fn(&[RunFigure; 2]) -> f64| MedianInterval::of(rounds.iter().map(of).collect());
        let compared = |of: fn(&RunFigure) -> f64| match row.figure {
            PairFigure::Ratio | PairFigure::Share => median(&|[first, other]| of(other) / of(first)),
            PairFigure::Difference => median(&|[first, other]| of(other) - of(first)),
        };
        Self {
            name: row.name,
            what: row.what,
            sides,
            figures: [median(&|[first, _]| first.total), median(&|[_, other]| other.total)],
            compared: compared(|figure| figure.total),
            workers: compared(|figure| figure.workers),
            figure: row.figure,
            target: row.target,
            failed,
            counts: Vec::new(),
        }
    }

    fn with(self, counts: Vec<LoadCounts>) -> Self {
        Self { counts, ..self }
    }

    /// Returns the figures of the report with their descriptions and targets.
    pub(crate) fn figures(&self) -> Vec<(String, Option<MedianInterval>, Target)> {
        let Self { what, sides: [first_name, other_name], figures: [first, other], .. } = self;
        let unit = match self.figure {
            PairFigure::Share => "% of one core",
            PairFigure::Ratio | PairFigure::Difference => "µs per request",
        };
        let each = if self.figure == PairFigure::Share { self.target } else { Target::NONE };
        let mut figures = vec![
            (format!("{unit}, {what}, {first_name}"), *first, each),
            (format!("{unit}, {what}, {other_name}"), *other, each),
        ];
        let compared = match self.figure {
            PairFigure::Share => return figures,
            PairFigure::Ratio => "ratio",
            PairFigure::Difference => "µs added",
        };
        figures.push((format!("{compared}, {what}"), self.compared, self.target));
        if self.workers.is_some() {
            figures.push((format!("{compared}, {what}, worker threads"), self.workers, Target::NONE));
        }
        figures
    }
}

/// The counts of each Tollgate of the sides.
async fn counts(row: &'static str, sides: &[PairSide<'_>; 2]) -> anyhow::Result<Vec<LoadCounts>> {
    let [first, other] = sides;
    let is_same = matches!((&first.server, &other.server),
        (PairServer::Tollgate(one), PairServer::Tollgate(other)) if Rc::ptr_eq(one, other));
    let mut counts = Vec::new();
    for side in sides.iter().skip(usize::from(is_same)) {
        if let PairServer::Tollgate(counted) = &side.server {
            counts.push(counted.counts(row).await?);
        }
    }
    Ok(counts)
}

fn names(sides: &[PairSide<'_>; 2]) -> [&'static str; 2] {
    let [first, other] = sides;
    [first.name, other.name]
}

/// The processor time of `rate` requests per second, at `micros` each, as percent of one core.
#[expect(clippy::cast_precision_loss, reason = "below 2^52")]
fn percent(micros: f64, rate: u64) -> f64 {
    micros * rate as f64 / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_a_millisecond_a_hundred_times_a_second_is_two_percent_of_a_core() {
        assert!((percent(200.0, 100) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn figures_are_compared_within_their_round() {
        let result = |kind: PairKind, workers: f64| {
            let row = PairRow::all().into_iter().find(|row| row.kind == kind).unwrap();
            let rounds = [[10.0, 12.0], [20.0, 24.0], [10.0, 12.0]]
                .map(|round| round.map(|total| RunFigure { total, workers: total * workers }));
            PairResult::of(&row, ["a", "b"], &rounds, 0)
        };
        let check = |result: &PairResult, expected: f64, endings: &[&str]| {
            assert!((result.compared.unwrap().median - expected).abs() < 1e-9, "{result:?}");
            let figures = result.figures();
            let names: Vec<&str> = figures.iter().map(|(name, ..)| name.as_str()).collect();
            let expected: Vec<String> = endings.iter().map(|ending| ending.replace("WHAT", result.what)).collect();
            assert_eq!(names, expected);
        };
        let [first, other] = ["µs per request, WHAT, a", "µs per request, WHAT, b"];
        check(&result(PairKind::Keys, 0.5), 1.2, &[first, other, "ratio, WHAT", "ratio, WHAT, worker threads"]);
        check(&result(PairKind::Cold, 0.5), 2.0, &[first, other, "µs added, WHAT", "µs added, WHAT, worker threads"]);
        check(&result(PairKind::Tls, f64::NAN), 1.2, &[first, other, "ratio, WHAT"]);
        check(&result(PairKind::Rate, 0.5), 1.2, &["% of one core, WHAT, a", "% of one core, WHAT, b"]);
    }
}
