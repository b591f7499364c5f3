//! One run of one side, and its processor time per request.

use anyhow::Context;
use serde::Serialize;

use crate::counts::drained;
use crate::cpu::{CpuAccount, CpuTime};
use crate::product::{Product, WORKER_THREADS};
use crate::scenario::BenchScenario;
use crate::wrk::{Wrk, WrkRun};

/// The unit of a cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum CostUnit {
    /// One complete request and response.
    Request,
    /// An event of a stream. Events are counted by the bytes that wrk read, because many streams are incomplete at the
    /// end.
    Event { bytes: u64 },
}

/// A part of the processor time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum CpuShare {
    Total,
    User,
    System,
    /// Tollgate's worker threads alone; all threads of nginx and HAProxy.
    Workers,
    /// The user time of the same threads.
    WorkersUser,
}

/// A run of one side.
#[derive(Debug, Clone)]
pub(crate) struct SideRun {
    pub(crate) wrk: WrkRun,
    pub(crate) cpu: CpuTime,
    /// The time of Tollgate's worker threads.
    pub(crate) workers: Option<CpuTime>,
}

/// One run of Tollgate. The time includes the drain of the spool.
pub(crate) async fn tollgate(wrk: &Wrk<'_>, scenario: &BenchScenario, product: &Product) -> anyhow::Result<SideRun> {
    let account: &CpuAccount = &product.group.account;
    let (before, workers_before) = (account.time()?, account.thread_time(WORKER_THREADS)?);
    let run = wrk.run(scenario, product.proxy).await.context("tollgate")?;
    drained(product).await?;
    let cpu = account.time()?.since(before);
    let workers = account.thread_time(WORKER_THREADS)?.since(workers_before);
    Ok(SideRun { wrk: run, cpu, workers: (workers.total_micros > 0).then_some(workers) })
}

impl SideRun {
    /// The cost per unit in microseconds.
    pub(crate) fn cost(&self, unit: CostUnit) -> f64 {
        self.share(CpuShare::Total, unit)
    }

    /// The cost of the worker threads per unit in microseconds.
    pub(crate) fn worker_cost(&self, unit: CostUnit) -> Option<f64> {
        self.workers.map(|_| self.share(CpuShare::Workers, unit))
    }

    /// A share of the cost per unit in microseconds.
    pub(crate) fn share(&self, share: CpuShare, unit: CostUnit) -> f64 {
        let workers = self.workers.unwrap_or(self.cpu);
        let micros = match share {
            CpuShare::Total => self.cpu.total_micros,
            CpuShare::User => self.cpu.user_micros,
            CpuShare::System => self.cpu.system_micros,
            CpuShare::Workers => workers.total_micros,
            CpuShare::WorkersUser => workers.user_micros,
        };
        per(micros, self.units(unit))
    }

    pub(crate) const fn units(&self, unit: CostUnit) -> u64 {
        match unit {
            CostUnit::Request => self.wrk.requests,
            CostUnit::Event { bytes } => self.wrk.read_bytes / bytes,
        }
    }
}

/// Without units, the cost is not a number.
#[expect(clippy::cast_precision_loss, reason = "below 2^52")]
fn per(micros: u64, units: u64) -> f64 {
    if units == 0 { f64::NAN } else { micros as f64 / units as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_per_request_or_event() {
        let time = |total_micros, user_micros| {
            let system_micros = total_micros - user_micros;
            CpuTime { total_micros, user_micros, system_micros }
        };
        let wrk = WrkRun { requests: 10, read_bytes: 4_000, failed: 0, raw: String::new() };
        let reference = SideRun { wrk, cpu: time(100, 40), workers: None };
        let tollgate = SideRun { workers: Some(time(50, 20)), ..reference.clone() };
        let check = |run: &SideRun, share, unit, expected: f64| {
            assert!((run.share(share, unit) - expected).abs() < 1e-9, "{share:?}");
        };
        check(&tollgate, CpuShare::Total, CostUnit::Request, 10.0);
        check(&tollgate, CpuShare::User, CostUnit::Request, 4.0);
        check(&tollgate, CpuShare::System, CostUnit::Request, 6.0);
        check(&tollgate, CpuShare::Workers, CostUnit::Request, 5.0);
        check(&tollgate, CpuShare::WorkersUser, CostUnit::Request, 2.0);
        check(&tollgate, CpuShare::Total, CostUnit::Event { bytes: 200 }, 5.0);
        check(&reference, CpuShare::Workers, CostUnit::Request, 10.0);
        check(&reference, CpuShare::WorkersUser, CostUnit::Request, 4.0);
        assert!(reference.share(CpuShare::Total, CostUnit::Event { bytes: 4_001 }).is_nan());
        assert_eq!(
            (reference.worker_cost(CostUnit::Request), tollgate.worker_cost(CostUnit::Request)),
            (None, Some(5.0))
        );
    }
}
