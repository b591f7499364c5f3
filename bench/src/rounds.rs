//! One scenario: interleaved runs of Tollgate and other proxies, and the processor time of each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::counts::{ProductCounts, mock_requests};
use crate::load_counts::LoadCounts;
use crate::loader::Loader;
use crate::median::MedianInterval;
use crate::order::{Side, orders};
use crate::plan::{Progress, RunPlan, WARM_SECONDS};
use crate::product::{MockProcess, Product};
use crate::raw::{RawRuns, RunPlace};
use crate::reference::{ReferenceProxy, ReferenceSet};
use crate::scenario::{BenchScenario, Credential};
use crate::side::{CostUnit, CpuShare, SideRun, tollgate};
use crate::target::Target;
use crate::wrk::Wrk;

/// The framing of a chunk: three hex digits and two line ends.
const CHUNK_FRAMING_BYTES: u64 = 7;

/// The runs of one round.
type Round = BTreeMap<Side, SideRun>;

/// All sides, and the tools of the measurement.
#[derive(Clone, Copy)]
pub(crate) struct Bench<'a> {
    pub(crate) references: &'a ReferenceSet,
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

/// One share of the processor time, in microseconds per unit.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ShareResult {
    pub(crate) share: CpuShare,
    /// The medians of the sides. A side that was not measured is missing.
    pub(crate) micros: BTreeMap<Side, MedianInterval>,
    /// The ratios of Tollgate's time to each other side's, of the rounds.
    pub(crate) ratios: BTreeMap<Side, MedianInterval>,
    /// The maximum of the ratio to nginx.
    pub(crate) target: Target,
    /// The maximum of the ratio to Envoy.
    pub(crate) envoy_target: Target,
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
        let sides = self.sides(scenario);
        let unit = self.unit(scenario, &sides).await?;
        let mut counts = RunCounts::default();
        let warm = Wrk { seconds: WARM_SECONDS, ..self.wrk };
        for side in &sides {
            self.run(&warm, scenario, *side, &mut counts).await?;
        }
        let (name, pairs) = (scenario.name, self.plan.pairs);
        let mut rounds = Vec::new();
        for (number, order) in (0..pairs).zip(orders(&sides).iter().cycle()) {
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
        let (what, costs) = (scenario.what, costs(scenario, &rounds, unit));
        let keyed = scenario.credential == Credential::Key;
        Ok(ScenarioResult { name, what, unit, costs, forwarded, keyed, failed, runs })
    }

    /// The requests of scenarios that reached the mock through Tollgate. Each has one request before its runs.
    pub(crate) fn counts(&self, what: &'static str, scenarios: &[ScenarioResult]) -> LoadCounts {
        let sum = |measured: &[&ScenarioResult]| measured.iter().map(|measured| measured.forwarded + 1).sum::<u64>();
        let runs = scenarios.iter().map(|measured| u64::from(measured.runs)).sum::<u64>();
        LoadCounts {
            what,
            forwarded: sum(&scenarios.iter().collect::<Vec<_>>()),
            forwarded_with_key: sum(&scenarios.iter().filter(|measured| measured.keyed).collect::<Vec<_>>()),
            counted: ProductCounts::default(),
            tolerance: runs * u64::from(self.plan.connections),
        }
    }

    /// The proxies of the scenario that run, and Tollgate.
    fn sides(&self, scenario: &BenchScenario) -> Vec<Side> {
        let proxies = scenario.proxies.iter().filter(|side| self.references.get(**side).is_some());
        proxies.copied().chain([Side::Tollgate]).collect()
    }

    async fn run(
        &self,
        wrk: &Wrk<'_>,
        scenario: &BenchScenario,
        side: Side,
        counts: &mut RunCounts,
    ) -> anyhow::Result<SideRun> {
        let run = if let Some(proxy) = self.references.get(side) {
            reference(proxy, wrk, scenario).await.context(side.name())?
        } else {
            let reached = mock_requests(self.mock.address).await?;
            let run = tollgate(wrk, scenario, self.product).await?;
            counts.forwarded += mock_requests(self.mock.address).await? - reached;
            counts.runs += 1;
            run
        };
        counts.failed += run.wrk.failed;
        Ok(run)
    }

    /// The address of a side for the requests of a scenario.
    pub(crate) fn address(&self, side: Side, scenario: &BenchScenario) -> anyhow::Result<SocketAddr> {
        match self.references.get(side) {
            Some(proxy) => proxy.address(scenario),
            None if side == Side::Direct => Ok(self.mock.address),
            None => Ok(self.product.proxy),
        }
    }

    /// Sends one request to each side. It is an error if one fails, or if plain bodies or streams differ.
    pub(crate) async fn unit(&self, scenario: &BenchScenario, sides: &[Side]) -> anyhow::Result<CostUnit> {
        let body = scenario.body.as_deref().unwrap_or_default();
        let mut bodies = Vec::new();
        for side in sides {
            let address = self.address(*side, scenario)?;
            let mut loader = Loader::connect(address, self.wrk.keys.first().map(String::as_str)).await?;
            let response = loader.send(scenario.method(), scenario.path, body).await?;
            let (name, path) = (side.name(), scenario.path);
            ensure!(response.status == 200, "{name}, {path}: {} {:?}", response.status, response.body);
            bodies.push(String::from_utf8_lossy(&response.body).into_owned());
        }
        let is_equal = bodies.windows(2).all(|pair| matches!(pair, [one, other] if one == other));
        ensure!(scenario.body.is_some() || is_equal, "the responses of {sides:?} differ: {bodies:?}");
        let sizes: Vec<(usize, usize)> = bodies.iter().map(|body| (body.len(), body.matches("\n\n").count())).collect();
        let (Some((bytes, events)), true) = (sizes.first(), scenario.streamed) else { return Ok(CostUnit::Request) };
        let difference = sizes.iter().map(|(_, other)| other.abs_diff(*events)).sum::<usize>();
        ensure!(*events > 0 && difference == 0, "the streams differ in events: {sizes:?}");
        Ok(CostUnit::Event { bytes: u64::try_from(bytes / events)? + CHUNK_FRAMING_BYTES })
    }
}

/// One run of another proxy.
async fn reference(proxy: &ReferenceProxy, wrk: &Wrk<'_>, scenario: &BenchScenario) -> anyhow::Result<SideRun> {
    let account = &proxy.group.account;
    let before = account.time()?;
    let wrk = wrk.run(scenario, proxy.address(scenario)?).await?;
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
    let sides: BTreeSet<Side> = rounds.iter().flat_map(|round| round.keys().copied()).collect();
    let result = |share: CpuShare, target: Target| {
        let cost = |round: &Round, side: Side| round.get(&side).map_or(f64::NAN, |run| run.share(share, unit));
        let of = |value: &dyn Fn(&Round) -> f64| MedianInterval::of(rounds.iter().map(value).collect());
        let micros = sides.iter().filter_map(|side| Some((*side, of(&|round| cost(round, *side))?)));
        let ratio = |side: Side| of(&|round| cost(round, Side::Tollgate) / cost(round, side));
        let others = sides.iter().filter(|side| **side != Side::Tollgate);
        ShareResult {
            share,
            micros: micros.collect(),
            ratios: others.filter_map(|side| Some((*side, ratio(*side)?))).collect(),
            target,
            envoy_target: if share == CpuShare::Total { targets.envoy } else { Target::NONE },
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
    use super::*;
    use crate::cpu::CpuTime;
    use crate::wrk::WrkRun;

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
            let near = |found: MedianInterval, expected: f64| (found.median - expected).abs() < 1e-9;
            let ratio = |side| found.ratios[&side];
            assert!(near(found.micros[&Side::Tollgate], cost), "{found:?}");
            assert!(near(ratio(Side::Nginx), to_nginx) && near(ratio(Side::Haproxy), to_haproxy), "{found:?}");
            assert!((ratio(Side::Nginx).high - to_nginx).abs() < 1e-9, "{found:?}");
            assert_eq!((found.micros.len(), found.ratios.len()), (3, 2));
        };
        check(CpuShare::Total, 30.0, 3.0, 1.5);
        check(CpuShare::User, 2.0, 2.0, 0.5);
        check(CpuShare::Workers, 15.0, 1.5, 0.75);
        assert_eq!(costs.iter().filter(|cost| cost.target != Target::NONE).count(), 2);
    }

    #[test]
    fn a_round_without_a_side_has_no_ratio() {
        let costs = costs(&BenchScenario::plain(), &[Round::new()], CostUnit::Request);
        assert!(costs.iter().all(|cost| cost.ratios.is_empty() && cost.micros.is_empty()));
    }
}
