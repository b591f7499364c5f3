//! One scenario: interleaved runs of nginx and Tollgate, and the processor time of each.

use std::path::Path;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::counts::{drained, mock_requests};
use crate::cpu::CpuAccount;
use crate::loader::Loader;
use crate::nginx::Nginx;
use crate::product::{MockProcess, Product, WORKER_THREADS};
use crate::ratio::Ratio;
use crate::scenario::BenchScenario;
use crate::wrk::{Wrk, WrkRun};

/// The framing of a chunk: three hex digits and two line ends.
const CHUNK_FRAMING_BYTES: u64 = 7;

/// Both sides, and the tools of the measurement.
pub(crate) struct Bench<'a> {
    pub(crate) nginx: &'a Nginx,
    pub(crate) product: &'a Product,
    pub(crate) mock: &'a MockProcess,
    pub(crate) wrk: Wrk<'a>,
    pub(crate) out: &'a Path,
}

/// The unit of a cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum CostUnit {
    /// One complete request and response.
    Request,
    /// An event of a stream. Events are counted by the bytes that wrk read, because many streams are incomplete at the
    /// end.
    Event { bytes: u64 },
}

/// A run of one side.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SideRun {
    pub(crate) wrk: WrkRun,
    pub(crate) cpu_micros: u64,
    /// The time of Tollgate's worker threads.
    pub(crate) worker_micros: Option<u64>,
}

/// A pair of runs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RunPair {
    pub(crate) nginx: SideRun,
    pub(crate) tollgate: SideRun,
}

/// The result of a scenario. Costs are microseconds per request, or per event for streams.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ScenarioResult {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) target: f64,
    pub(crate) workers_target: Option<f64>,
    pub(crate) unit: CostUnit,
    pub(crate) ratio: Option<Ratio>,
    pub(crate) workers_ratio: Option<Ratio>,
    /// The number of requests that reached the mock through Tollgate.
    pub(crate) forwarded: u64,
    pub(crate) keyed: bool,
    pub(crate) pairs: Vec<RunPair>,
}

impl Bench<'_> {
    /// Runs the pairs. The side that runs first alternates.
    pub(crate) async fn measure(&self, scenario: &BenchScenario, pairs: u32) -> anyhow::Result<ScenarioResult> {
        let unit = self.unit(scenario).await?;
        let mut measured = ScenarioResult {
            name: scenario.name,
            what: scenario.what,
            target: scenario.target,
            workers_target: scenario.workers_target,
            unit,
            ratio: None,
            workers_ratio: None,
            forwarded: 0,
            keyed: scenario.keyed,
            pairs: Vec::new(),
        };
        for number in 0..pairs {
            let pair = if number % 2 == 0 {
                let nginx = self.nginx(scenario, number).await?;
                RunPair { nginx, tollgate: self.tollgate(scenario, number, &mut measured.forwarded).await? }
            } else {
                let tollgate = self.tollgate(scenario, number, &mut measured.forwarded).await?;
                RunPair { nginx: self.nginx(scenario, number).await?, tollgate }
            };
            println!("  {}", pair.line(scenario.name, unit));
            measured.pairs.push(pair);
        }
        let costs = |pair: &RunPair| (pair.tollgate.cost(unit), pair.nginx.cost(unit));
        measured.ratio = Ratio::of(&measured.pairs.iter().map(costs).collect::<Vec<_>>());
        let workers = measured.pairs.iter().map(|pair| Some((pair.tollgate.worker_cost(unit)?, costs(pair).1)));
        measured.workers_ratio = workers.collect::<Option<Vec<_>>>().and_then(|pairs| Ratio::of(&pairs));
        Ok(measured)
    }

    async fn nginx(&self, scenario: &BenchScenario, number: u32) -> anyhow::Result<SideRun> {
        let account = &self.nginx.group.account;
        let before = account.micros()?;
        let wrk = self.wrk.run(scenario, self.nginx.address(scenario.streamed)).await.context("nginx")?;
        let cpu_micros = account.micros()? - before;
        self.keep(&format!("{}-{number:02}-nginx", scenario.name), &wrk)?;
        Ok(SideRun { wrk, cpu_micros, worker_micros: None })
    }

    async fn tollgate(&self, scenario: &BenchScenario, number: u32, forwarded: &mut u64) -> anyhow::Result<SideRun> {
        let reached = mock_requests(self.mock.address).await?;
        let side = tollgate(&self.wrk, scenario, self.product).await?;
        *forwarded += mock_requests(self.mock.address).await? - reached;
        self.keep(&format!("{}-{number:02}-tollgate", scenario.name), &side.wrk)?;
        Ok(side)
    }

    fn keep(&self, name: &str, run: &WrkRun) -> anyhow::Result<()> {
        Ok(std::fs::write(self.out.join(format!("{name}.txt")), &run.raw)?)
    }

    /// Sends one request to each side. It is an error if one fails or the streams differ.
    async fn unit(&self, scenario: &BenchScenario) -> anyhow::Result<CostUnit> {
        let method = if scenario.body.is_some() { "POST" } else { "GET" };
        let body = scenario.body.as_deref().unwrap_or_default();
        let mut bodies = Vec::new();
        for address in [self.nginx.address(scenario.streamed), self.product.proxy] {
            let mut loader = Loader::connect(address, Some(&self.product.key)).await?;
            let response = loader.send(method, scenario.path, body).await?;
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

/// One run of Tollgate. The time includes the drain of the spool.
pub(crate) async fn tollgate(wrk: &Wrk<'_>, scenario: &BenchScenario, product: &Product) -> anyhow::Result<SideRun> {
    let account: &CpuAccount = &product.group.account;
    let (before, workers_before) = (account.micros()?, account.thread_micros(WORKER_THREADS)?);
    let run = wrk.run(scenario, product.proxy).await.context("tollgate")?;
    drained(product).await?;
    let cpu_micros = account.micros()? - before;
    let worker_micros = account.thread_micros(WORKER_THREADS)?.saturating_sub(workers_before);
    Ok(SideRun { wrk: run, cpu_micros, worker_micros: (worker_micros > 0).then_some(worker_micros) })
}

impl SideRun {
    /// The cost per unit in microseconds.
    pub(crate) fn cost(&self, unit: CostUnit) -> f64 {
        per(self.cpu_micros, self.units(unit))
    }

    /// The cost of the worker threads per unit in microseconds.
    pub(crate) fn worker_cost(&self, unit: CostUnit) -> Option<f64> {
        self.worker_micros.map(|micros| per(micros, self.units(unit)))
    }

    const fn units(&self, unit: CostUnit) -> u64 {
        match unit {
            CostUnit::Request => self.wrk.requests,
            CostUnit::Event { bytes } => self.wrk.read_bytes / bytes,
        }
    }
}

impl RunPair {
    fn line(&self, name: &str, unit: CostUnit) -> String {
        let side = |side: &SideRun| {
            let WrkRun { requests, failed, .. } = side.wrk;
            format!("{:8.2} µs ({} units, {requests} requests, {failed} failed)", side.cost(unit), side.units(unit))
        };
        format!("{name:7} nginx {} | tollgate {}", side(&self.nginx), side(&self.tollgate))
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^52")]
fn per(micros: u64, units: u64) -> f64 {
    if units == 0 { 0.0 } else { micros as f64 / units as f64 }
}
