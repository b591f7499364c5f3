//! Rows that compare two sides in interleaved runs: Tollgate with itself under another configuration, or with nginx over
//! HTTP/2 and TLS.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::h2load::H2load;
use crate::median::MedianInterval;
use crate::pair_row::{FEW_ROUTES, MANY_ROUTES, PairKind, PairLoad, PairRow};
use crate::plan::{RunPlan, WARM_SECONDS};
use crate::product::{LIMITED, MockProcess, Product, ProductFiles, ServerSettings, ServerVariant};
use crate::raw::RunPlace;
use crate::reference::ReferenceProxy;
use crate::rounds::Recorder;
use crate::scenario::BenchScenario;
use crate::side::{CostUnit, SideRun};
use crate::target::Target;
use crate::wrk::Wrk;

/// The result of a row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PairResult {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) sides: [&'static str; 2],
    /// Microseconds per request, or percent of one core.
    pub(crate) figures: [Option<MedianInterval>; 2],
    /// The ratio of the second figure to the first, of each round.
    pub(crate) ratio: Option<MedianInterval>,
    pub(crate) target: Target,
    /// Whether the figures are percent of one core.
    pub(crate) is_share: bool,
    /// The number of failed requests of both sides.
    pub(crate) failed: u64,
}

/// The programs of the comparisons.
pub(crate) struct PairBench<'a> {
    pub(crate) program: &'a Path,
    pub(crate) mock: &'a MockProcess,
    pub(crate) nginx: &'a ReferenceProxy,
    pub(crate) wrk: Wrk<'a>,
    pub(crate) h2load: &'a Path,
    pub(crate) out: &'a Path,
    pub(crate) plan: &'a RunPlan,
}

/// One side while it runs.
struct PairSide<'a> {
    name: &'static str,
    server: PairServer<'a>,
    address: SocketAddr,
    key: Option<String>,
}

enum PairServer<'a> {
    Nginx(&'a ReferenceProxy),
    Tollgate(std::rc::Rc<Product>),
}

impl PairBench<'_> {
    /// Runs each side once without measurement, then the rounds.
    pub(crate) async fn measure(&self, row: &PairRow, recorder: &mut Recorder) -> anyhow::Result<PairResult> {
        let dir = tempfile::tempdir()?;
        let second = match row.kind {
            PairKind::Backends => Some(MockProcess::start_named(self.program, dir.path(), "mock-second").await?),
            PairKind::Routes | PairKind::Http2 | PairKind::Tls | PairKind::Rate => None,
        };
        let sides = self.sides(row.kind, dir.path(), second.as_ref()).await?;
        for side in &sides {
            let warm = self.run(row, side, WARM_SECONDS).await?;
            ensure!(warm.wrk.failed == 0, "{}: {} requests failed:\n{}", side.name, warm.wrk.failed, warm.wrk.raw);
        }
        let (mut rounds, mut failed, unit) = (Vec::new(), 0, CostUnit::Request);
        for number in 0..self.plan.pairs {
            let mut figures = [f64::NAN; 2];
            for place in 0..sides.len() {
                let at = if number % 2 == 0 { place } else { sides.len() - 1 - place };
                let (side, figure) = sides.get(at).zip(figures.get_mut(at)).context("internal error: no such side")?;
                let run = self.run(row, side, self.plan.seconds).await?;
                recorder.raw.append(RunPlace { row: row.name, round: number, place, side: side.name, unit }, &run)?;
                failed += run.wrk.failed;
                *figure = match row.load.rate() {
                    Some(rate) => self.percent(&run, rate)?,
                    None => run.cost(unit),
                };
            }
            let [first, other] = figures;
            let [first_name, other_name] = names(&sides);
            let done = format!(
                "{} {}/{}: {first_name} {first:.2} | {other_name} {other:.2}",
                row.name,
                number + 1,
                self.plan.pairs
            );
            recorder.progress.step(self.plan.row_estimate(row.name) / self.plan.pairs, &done);
            rounds.push(figures);
        }
        let figure = |of: fn(&[f64; 2]) -> f64| MedianInterval::of(rounds.iter().map(of).collect());
        Ok(PairResult {
            name: row.name,
            what: row.what,
            sides: names(&sides),
            figures: [figure(|[first, _]| *first), figure(|[_, other]| *other)],
            ratio: figure(|[first, other]| other / first),
            target: row.target,
            is_share: row.kind == PairKind::Rate,
            failed,
        })
    }

    async fn sides(
        &self,
        kind: PairKind,
        dir: &Path,
        second: Option<&MockProcess>,
    ) -> anyhow::Result<[PairSide<'_>; 2]> {
        let nginx = |address| PairSide { name: "nginx", server: PairServer::Nginx(self.nginx), address, key: None };
        let usual = ServerVariant::Usual;
        Ok(match kind {
            PairKind::Routes => [
                self.tollgate("10 routes", ServerVariant::Routes(FEW_ROUTES), dir).await?,
                self.tollgate("10,000 routes", ServerVariant::Routes(MANY_ROUTES), dir).await?,
            ],
            PairKind::Backends => {
                let second = second.context("internal error: no second backend")?;
                let both = ServerVariant::Backends(second.address);
                [self.tollgate("one backend", usual, dir).await?, self.tollgate("two backends", both, dir).await?]
            }
            PairKind::Http2 => [nginx(self.nginx.http2), self.tollgate("tollgate", usual, dir).await?],
            PairKind::Tls => [nginx(self.nginx.tls), self.tollgate("tollgate", ServerVariant::Tls, dir).await?],
            PairKind::Rate => {
                let plain = self.tollgate("plain", usual, dir).await?;
                let PairServer::Tollgate(product) = &plain.server else { anyhow::bail!("internal error: no Tollgate") };
                let (server, key) = (PairServer::Tollgate(product.clone()), Some(product.key.clone()));
                let keyed = PairSide { name: "with a key", server, address: plain.address, key };
                [plain, keyed]
            }
        })
    }

    async fn tollgate(&self, name: &'static str, variant: ServerVariant, dir: &Path) -> anyhow::Result<PairSide<'_>> {
        let file = name.replace([' ', ','], "-");
        let (data, server) = (dir.join(&file), ServerSettings { variant, ..ServerSettings::COMPARED });
        let (program, out) = (self.program, self.out);
        let places = ProductFiles { program, data: &data, out, name: &file, url: None, limits: LIMITED, server };
        let product = Product::start(&places, self.mock.address).await.context(name)?;
        let address = product.proxy;
        Ok(PairSide { name, server: PairServer::Tollgate(std::rc::Rc::new(product)), address, key: None })
    }

    async fn run(&self, row: &PairRow, side: &PairSide<'_>, seconds: u64) -> anyhow::Result<SideRun> {
        let account = match &side.server {
            PairServer::Nginx(nginx) => &nginx.group.account,
            PairServer::Tollgate(product) => &product.group.account,
        };
        let before = account.time()?;
        let wrk = match &row.load {
            PairLoad::Wrk(scenario) => Wrk { seconds, ..self.wrk }.run(scenario, side.address).await,
            PairLoad::H2load(mode) => {
                let path = if side.key.is_some() { BenchScenario::keyed().path } else { BenchScenario::plain().path };
                let h2load = H2load { program: self.h2load, seconds };
                h2load.run(*mode, side.address, path, side.key.as_deref()).await
            }
        };
        Ok(SideRun { wrk: wrk.context(side.name)?, cpu: account.time()?.since(before), workers: None })
    }
}

impl PairBench<'_> {
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
    /// Returns the figures of the report with their descriptions and targets.
    pub(crate) fn figures(&self) -> Vec<(String, Option<MedianInterval>, Target)> {
        let Self { what, sides: [first_name, other_name], figures: [first, other], .. } = self;
        if self.is_share {
            return vec![
                (format!("% of one core, {what}, {first_name}"), *first, self.target),
                (format!("% of one core, {what}, {other_name}"), *other, self.target),
            ];
        }
        vec![
            (format!("µs per request, {what}, {first_name}"), *first, Target::NONE),
            (format!("µs per request, {what}, {other_name}"), *other, Target::NONE),
            (format!("ratio, {what}"), self.ratio, self.target),
        ]
    }
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
}
