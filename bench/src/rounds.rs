//! One scenario: interleaved runs of nginx, HAProxy and Tollgate, and the processor time of each.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::counts::mock_requests;
use crate::loader::Loader;
use crate::median::MedianInterval;
use crate::plan::{Progress, RunPlan, WARM_SECONDS};
use crate::product::{MockProcess, Product};
use crate::raw::{RawRuns, RunPlace};
use crate::reference::ReferenceProxy;
use crate::scenario::BenchScenario;
use crate::side::{CostUnit, CpuShare, SideRun, tollgate};
use crate::target::Target;
use crate::wrk::Wrk;

/// The framing of a chunk: three hex digits and two line ends.
const CHUNK_FRAMING_BYTES: u64 = 7;

/// A side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Side {
    Nginx,
    Haproxy,
    Tollgate,
}

/// The orders of the sides, in turn. In six rounds, each side runs twice at each place, and once after each pair.
const ORDERS: [[Side; 3]; 6] = [
    [Side::Nginx, Side::Haproxy, Side::Tollgate],
    [Side::Tollgate, Side::Haproxy, Side::Nginx],
    [Side::Haproxy, Side::Tollgate, Side::Nginx],
    [Side::Nginx, Side::Tollgate, Side::Haproxy],
    [Side::Tollgate, Side::Nginx, Side::Haproxy],
    [Side::Haproxy, Side::Nginx, Side::Tollgate],
];

/// The runs of one round.
type Round = BTreeMap<Side, SideRun>;

/// All sides, and the tools of the measurement.
pub(crate) struct Bench<'a> {
    pub(crate) nginx: &'a ReferenceProxy,
    pub(crate) haproxy: &'a ReferenceProxy,
    pub(crate) product: &'a Product,
    pub(crate) mock: &'a MockProcess,
    pub(crate) wrk: Wrk<'a>,
    pub(crate) out: &'a Path,
    pub(crate) plan: &'a RunPlan,
}

/// The records of a measurement that runs.
pub(crate) struct Recorder {
    pub(crate) raw: RawRuns,
    pub(crate) progress: Progress,
}

/// The result of a scenario.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ScenarioResult {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) unit: CostUnit,
    pub(crate) costs: Vec<ShareResult>,
    /// The number of requests that reached the mock through Tollgate.
    pub(crate) forwarded: u64,
    pub(crate) keyed: bool,
    /// The number of failed requests of all sides.
    pub(crate) failed: u64,
    /// The number of runs of each side, with the one before the measured ones.
    pub(crate) runs: u32,
}

/// One share of the processor time: the medians in microseconds per unit, and the ratios of the rounds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ShareResult {
    pub(crate) share: CpuShare,
    pub(crate) nginx: Option<MedianInterval>,
    pub(crate) haproxy: Option<MedianInterval>,
    pub(crate) tollgate: Option<MedianInterval>,
    pub(crate) to_nginx: Option<MedianInterval>,
    pub(crate) to_haproxy: Option<MedianInterval>,
    /// The maximum of `to_nginx`.
    pub(crate) target: Target,
}

impl Side {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Tollgate => "tollgate",
        }
    }
}

/// Counts over all runs of a scenario.
#[derive(Default)]
struct RunCounts {
    forwarded: u64,
    failed: u64,
    runs: u32,
}

impl Bench<'_> {
    /// Runs each side once without measurement, then the rounds.
    pub(crate) async fn measure(
        &self,
        scenario: &BenchScenario,
        recorder: &mut Recorder,
    ) -> anyhow::Result<ScenarioResult> {
        let unit = self.unit(scenario).await?;
        let mut counts = RunCounts::default();
        let warm = Wrk { seconds: WARM_SECONDS, ..self.wrk };
        for side in [Side::Nginx, Side::Haproxy, Side::Tollgate] {
            self.run(&warm, scenario, side, &mut counts).await?;
        }
        let (name, pairs) = (scenario.name, self.plan.pairs);
        let mut rounds = Vec::new();
        for (number, order) in (0..pairs).zip(ORDERS.iter().cycle()) {
            let mut round = Round::new();
            for (place, side) in order.iter().enumerate() {
                let run = self.run(&self.wrk, scenario, *side, &mut counts).await?;
                recorder.raw.append(RunPlace { row: name, round: number, place, side: side.name(), unit }, &run)?;
                std::fs::write(self.out.join(format!("{name}-{number:02}-{}.txt", side.name())), &run.wrk.raw)?;
                round.insert(*side, run);
            }
            let done = format!("{name} {}/{pairs}: {}", number + 1, line(&round, unit));
            recorder.progress.step(self.plan.row_estimate(name) / pairs, &done);
            rounds.push(round);
        }
        let RunCounts { forwarded, failed, runs } = counts;
        let (what, keyed, costs) = (scenario.what, scenario.keyed, costs(scenario, &rounds, unit));
        Ok(ScenarioResult { name, what, unit, costs, forwarded, keyed, failed, runs })
    }

    async fn run(
        &self,
        wrk: &Wrk<'_>,
        scenario: &BenchScenario,
        side: Side,
        counts: &mut RunCounts,
    ) -> anyhow::Result<SideRun> {
        let run = match side {
            Side::Nginx => reference(self.nginx, wrk, scenario).await.context("nginx")?,
            Side::Haproxy => reference(self.haproxy, wrk, scenario).await.context("haproxy")?,
            Side::Tollgate => {
                let reached = mock_requests(self.mock.address).await?;
                let run = tollgate(wrk, scenario, self.product).await?;
                counts.forwarded += mock_requests(self.mock.address).await? - reached;
                counts.runs += 1;
                run
            }
        };
        counts.failed += run.wrk.failed;
        Ok(run)
    }

    /// Sends one request to each side. It is an error if one fails or the streams differ.
    async fn unit(&self, scenario: &BenchScenario) -> anyhow::Result<CostUnit> {
        let body = scenario.body.as_deref().unwrap_or_default();
        let mut bodies = Vec::new();
        let (nginx, haproxy) = (self.nginx.address(scenario.streamed), self.haproxy.address(scenario.streamed));
        for address in [nginx, haproxy, self.product.proxy] {
            let mut loader = Loader::connect(address, Some(&self.product.key)).await?;
            let response = loader.send(scenario.method(), scenario.path, body).await?;
            ensure!(response.status == 200, "{address}{}: {} {:?}", scenario.path, response.status, response.body);
            bodies.push(String::from_utf8_lossy(&response.body).into_owned());
        }
        let sizes: Vec<(usize, usize)> = bodies.iter().map(|body| (body.len(), body.matches("\n\n").count())).collect();
        let (Some((bytes, events)), true) = (sizes.first(), scenario.streamed) else { return Ok(CostUnit::Request) };
        let difference = sizes.iter().map(|(_, other)| other.abs_diff(*events)).sum::<usize>();
        ensure!(*events > 0 && difference == 0, "the streams differ in events: {sizes:?}");
        Ok(CostUnit::Event { bytes: u64::try_from(bytes / events)? + CHUNK_FRAMING_BYTES })
    }
}

/// One run of nginx or HAProxy.
async fn reference(proxy: &ReferenceProxy, wrk: &Wrk<'_>, scenario: &BenchScenario) -> anyhow::Result<SideRun> {
    let account = &proxy.group.account;
    let before = account.time()?;
    let wrk = wrk.run(scenario, proxy.address(scenario.streamed)).await?;
    Ok(SideRun { wrk, cpu: account.time()?.since(before), workers: None })
}

/// The results of each share that the scenario reports.
fn costs(scenario: &BenchScenario, rounds: &[Round], unit: CostUnit) -> Vec<ShareResult> {
    let targets = &scenario.targets;
    let mut shares =
        vec![(CpuShare::Total, targets.total), (CpuShare::User, targets.user), (CpuShare::System, Target::NONE)];
    if let Some(target) = targets.workers {
        shares.extend([(CpuShare::Workers, target), (CpuShare::WorkersUser, Target::NONE)]);
    }
    let result = |share: CpuShare, target: Target| {
        let cost = |round: &Round, side: Side| round.get(&side).map_or(f64::NAN, |run| run.share(share, unit));
        let median = |side| MedianInterval::of(rounds.iter().map(|round| cost(round, side)).collect());
        let ratio = |side| {
            MedianInterval::of(rounds.iter().map(|round| cost(round, Side::Tollgate) / cost(round, side)).collect())
        };
        ShareResult {
            share,
            nginx: median(Side::Nginx),
            haproxy: median(Side::Haproxy),
            tollgate: median(Side::Tollgate),
            to_nginx: ratio(Side::Nginx),
            to_haproxy: ratio(Side::Haproxy),
            target,
        }
    };
    shares.into_iter().map(|(share, target)| result(share, target)).collect()
}

fn line(round: &Round, unit: CostUnit) -> String {
    let side = |(side, run): (&Side, &SideRun)| {
        let (total, user) = (run.cost(unit), run.share(CpuShare::User, unit));
        let failed = if run.wrk.failed > 0 { format!(", {} failed", run.wrk.failed) } else { String::new() };
        format!("{} {total:.2} µs (user {user:.2}{failed})", side.name())
    };
    round.iter().map(side).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cpu::CpuTime;
    use crate::wrk::WrkRun;

    #[test]
    fn each_side_runs_equally_often_at_each_place_and_after_each_other() {
        let places: BTreeSet<(usize, Side, usize)> = ORDERS
            .iter()
            .flat_map(|order| order.iter().enumerate())
            .map(|(place, side)| (place, *side, ORDERS.iter().filter(|order| order[place] == *side).count()))
            .collect();
        assert!(places.len() == 9 && places.iter().all(|(.., times)| *times == 2), "{places:?}");
        let mut after: Vec<(Side, Side)> =
            ORDERS.iter().flat_map(|order| [(order[0], order[1]), (order[1], order[2])]).collect();
        after.sort_unstable();
        let distinct: BTreeSet<(Side, Side)> = after.iter().copied().collect();
        assert_eq!((after.len(), distinct.len()), (12, 6));
        assert!(distinct.iter().all(|pair| after.iter().filter(|other| *other == pair).count() == 2), "{after:?}");
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let run = |total_micros, user_micros| {
            let wrk = WrkRun { requests: 10, read_bytes: 0, failed: 0, raw: String::new() };
            let cpu = CpuTime { total_micros, user_micros, system_micros: total_micros - user_micros };
            SideRun { wrk, cpu, workers: Some(CpuTime { total_micros: total_micros / 2, ..cpu }) }
        };
        // The second round is twice as slow as the first and third for every side.
        let rounds: Vec<Round> = [(100, 10), (200, 20), (100, 10)]
            .map(|(total, user)| {
                let (nginx, haproxy) = (SideRun { workers: None, ..run(total, user) }, run(total * 2, user * 4));
                Round::from([
                    (Side::Nginx, nginx),
                    (Side::Haproxy, SideRun { workers: None, ..haproxy }),
                    (Side::Tollgate, run(total * 3, user * 2)),
                ])
            })
            .to_vec();
        let costs = costs(&BenchScenario::llm(), &rounds, CostUnit::Request);
        let check = |share: CpuShare, cost: f64, to_nginx: f64, to_haproxy: f64| {
            let found = costs.iter().find(|found| found.share == share).unwrap();
            let near = |found: Option<MedianInterval>, expected: f64| (found.unwrap().median - expected).abs() < 1e-9;
            assert!(near(found.tollgate, cost), "{found:?}");
            assert!(near(found.to_nginx, to_nginx) && near(found.to_haproxy, to_haproxy), "{found:?}");
            assert!((found.to_nginx.unwrap().high - to_nginx).abs() < 1e-9, "{found:?}");
        };
        check(CpuShare::Total, 30.0, 3.0, 1.5);
        check(CpuShare::User, 2.0, 2.0, 0.5);
        check(CpuShare::Workers, 15.0, 1.5, 0.75);
        assert_eq!(costs.iter().filter(|cost| cost.target != Target::NONE).count(), 2);
    }

    #[test]
    fn a_round_without_a_side_has_no_ratio() {
        let costs = costs(&BenchScenario::plain(), &[Round::new()], CostUnit::Request);
        assert!(costs.iter().all(|cost| cost.to_nginx.is_none() && cost.tollgate.is_none()));
    }
}
