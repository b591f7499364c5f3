//! The results, for people (Markdown) and for programs (JSON).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::counts::{LoadCounts, ResponseCheck};
use crate::figure::{Figure, table};
use crate::latency::LatencyResult;
use crate::rounds::{CpuShare, RowRuns};
use crate::rows::{RatioTargets, Row, RunPlan};
use crate::stats::{METHOD, MedianInterval, Target};

/// The warning of a measurement that is too small.
const NO_RESULT: &str = "THIS IS A SMOKE CHECK: its figures must not be quoted.";
/// The load above which other programs disturb a measurement.
const QUIET_LOAD: f64 = 0.3;

/// All results of a run.
#[derive(Debug, Serialize)]
pub(crate) struct BenchReport {
    pub(crate) pairs: u32,
    pub(crate) seconds: u64,
    pub(crate) connections: u32,
    /// Whether the measurement is large enough to be quoted.
    pub(crate) is_result: bool,
    pub(crate) machine: Machine,
    /// The versions of the proxies, or that one is not installed.
    pub(crate) versions: Vec<String>,
    pub(crate) cpu_method: &'static str,
    pub(crate) costs: Vec<CostResult>,
    pub(crate) latency: Option<LatencyResult>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) exact: ResponseCheck,
    pub(crate) counts: Vec<LoadCounts>,
    /// The number of failed requests of all sides.
    pub(crate) failed: u64,
}

/// Facts about the machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    /// The average number of running processes in the minute before the measurement.
    load: Option<f64>,
}

/// One share of the processor time of a row beside proxies, in microseconds per unit.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CostResult {
    what: &'static str,
    share: CpuShare,
    /// The medians of the sides. A side that was not measured is missing.
    micros: BTreeMap<&'static str, MedianInterval>,
    /// The ratios of Tollgate's time to each other side's, of the rounds.
    ratios: BTreeMap<&'static str, MedianInterval>,
    /// The maximum of the ratio to nginx, and to the other proxies.
    target: Target,
    haproxy_target: Target,
    envoy_target: Target,
    traefik_target: Target,
}

impl Machine {
    pub(crate) fn read() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            processor: processor(&read("/proc/cpuinfo")).unwrap_or("unknown processor").to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()),
        }
    }

    /// A warning if other programs used the machine.
    pub(crate) fn warning(&self) -> Option<String> {
        let load = self.load.filter(|load| *load > QUIET_LOAD)?;
        Some(format!(
            "other programs used this machine before the measurement (load {load:.2}); figures may be too high"
        ))
    }
}

fn processor(cpuinfo: &str) -> Option<&str> {
    cpuinfo.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()))
}

impl CostResult {
    /// The results of each share that a row beside proxies reports. Tollgate is the last side.
    pub(crate) fn of(row: &Row, targets: &RatioTargets, runs: &RowRuns) -> Vec<Self> {
        let mut shares =
            vec![(CpuShare::Total, targets.total), (CpuShare::User, targets.user), (CpuShare::System, Target::NONE)];
        if let Some(target) = targets.workers {
            shares.extend([(CpuShare::Workers, target), (CpuShare::WorkersUser, Target::NONE)]);
        }
        let tollgate = runs.names.len().saturating_sub(1);
        let result = |(share, target)| {
            let sides = || runs.names.iter().copied().enumerate();
            let micros = |(at, name)| Some((name, runs.median(|round| runs.cost(round, at, share))?));
            let ratio = |(at, name)| Some((name, runs.ratio([tollgate, at], share)?));
            let of_total = |target| if share == CpuShare::Total { target } else { Target::NONE };
            Self {
                what: row.what,
                share,
                micros: sides().filter_map(micros).collect(),
                ratios: sides().take(tollgate).filter_map(ratio).collect(),
                target,
                haproxy_target: of_total(targets.haproxy),
                envoy_target: of_total(targets.envoy),
                traefik_target: of_total(targets.traefik),
            }
        };
        shares.into_iter().map(result).collect()
    }

    fn row(&self, is_result: bool) -> Vec<String> {
        let Self { share, target, .. } = *self;
        let (what, time) = match share {
            CpuShare::Total => (self.what, "all"),
            CpuShare::User => ("", "user"),
            CpuShare::System => ("", "system"),
            CpuShare::Workers => ("", "Tollgate's workers, all"),
            CpuShare::WorkersUser => ("", "Tollgate's workers, user"),
        };
        let micros = |side| self.micros.get(side).map(|side| format!("{:.2}", side.median)).unwrap_or_default();
        let ratio = |side| if share == CpuShare::System { String::new() } else { self.ratio(side) };
        let [must, aim] = target.cells();
        let judged = target.verdict(self.ratios.get("nginx").copied(), is_result);
        let [nginx, haproxy, tollgate] = ["nginx", "haproxy", "tollgate"].map(micros);
        let (what, time) = (what.to_owned(), time.to_owned());
        vec![what, time, nginx, haproxy, tollgate, ratio("nginx"), ratio("haproxy"), must, aim, judged]
    }

    fn ratio(&self, side: &str) -> String {
        self.ratios.get(side).map_or(String::from("not measured"), |ratio| ratio.text(3))
    }

    /// The rows beside Envoy and Traefik, and beside HAProxy if it has a target.
    fn peer_rows(&self, is_result: bool) -> Vec<Vec<String>> {
        let time = match self.share {
            CpuShare::Total => "all",
            CpuShare::User => "user",
            CpuShare::System | CpuShare::Workers | CpuShare::WorkersUser => return Vec::new(),
        };
        let row = |(side, name, target): (&str, &str, Target)| {
            let (micros, [must, aim]) = (self.micros.get(side)?.median, target.cells());
            let judged = target.verdict(self.ratios.get(side).copied(), is_result);
            let first = [self.what, time, name].map(str::to_owned);
            let last = [format!("{micros:.2}"), self.ratio(side), must, aim, judged];
            Some(first.into_iter().chain(last).collect())
        };
        let haproxy = Some(("haproxy", "HAProxy", self.haproxy_target)).filter(|(.., target)| *target != Target::NONE);
        let peers = [("envoy", "Envoy", self.envoy_target), ("traefik", "Traefik", self.traefik_target)];
        haproxy.into_iter().chain(peers).filter_map(row).collect()
    }
}

impl BenchReport {
    /// A report without rows.
    pub(crate) fn of(plan: &RunPlan, machine: Machine, cpu_method: &'static str, exact: ResponseCheck) -> Self {
        Self {
            pairs: plan.pairs,
            seconds: plan.seconds,
            connections: plan.connections,
            is_result: plan.is_result(),
            machine,
            versions: Vec::new(),
            cpu_method,
            costs: Vec::new(),
            latency: None,
            figures: Vec::new(),
            exact,
            counts: Vec::new(),
            failed: 0,
        }
    }

    /// Whether every response and every count was correct. Speed targets are reported, not enforced.
    pub(crate) fn correct(&self) -> bool {
        self.exact.matches() && self.counts.iter().all(LoadCounts::matches) && self.failed == 0
    }

    /// Writes `report.md` and `report.json`. Returns the text and the path of the latter.
    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<(String, PathBuf)> {
        let (text, json) = (self.markdown(), dir.join("report.json"));
        fs::write(&json, serde_json::to_vec_pretty(self)?)?;
        fs::write(dir.join("report.md"), &text)?;
        Ok((text, json))
    }

    fn markdown(&self) -> String {
        let Machine { processor, cores, kernel, .. } = &self.machine;
        let mut text = format!(
            "Processor time of Tollgate and {}, each with two workers: {} rounds of {} s, {} connections\n\
             Machine: {processor}, {cores} cores, Linux {kernel}. Processor time: {}.\n\
             Figures: {METHOD}; a target is met if the upper end meets it.\n",
            self.versions.join(", "),
            self.pairs,
            self.seconds,
            self.connections,
            self.cpu_method
        );
        for line in self.machine.warning().as_deref().into_iter().chain((!self.is_result).then_some(NO_RESULT)) {
            text += &format!("{line}\n");
        }
        let costs: Vec<_> = self.costs.iter().map(|cost| cost.row(self.is_result)).collect();
        let peers: Vec<_> = self.costs.iter().flat_map(|cost| cost.peer_rows(self.is_result)).collect();
        let figures: Vec<_> = self.figures.iter().map(|figure| figure.row(self.is_result)).collect();
        text += &table(
            "| request | time | nginx µs | HAProxy µs | Tollgate µs | to nginx | to HAProxy | must | aim | |",
            &costs,
        );
        text += &table("| request | time | proxy | its µs | Tollgate to it | must | aim | |", &peers);
        text += &self.latency.as_ref().map(LatencyResult::table).unwrap_or_default();
        text += &table("| figure | measured | must | aim | |", &figures);
        text += &self.count_lines();
        if self.is_result { text } else { format!("{text}\n{NO_RESULT}\n") }
    }

    fn count_lines(&self) -> String {
        let verdict = |good| if good { "good" } else { "NOT GOOD" };
        let ResponseCheck { sent, sent_with_key, tokens_answered, counted } = self.exact;
        let mut text = format!(
            "\n- Responses: {sent} compared byte by byte with the mock's, all equal.\n\
             - Counts of that pass: sent {sent}, /metrics {}; with a key {sent_with_key}, usage {}; tokens in responses \
             {tokens_answered}, usage {}: {}.\n",
            counted.metrics_requests,
            counted.usage_requests,
            counted.usage_tokens,
            verdict(self.exact.matches())
        );
        for counts in &self.counts {
            let LoadCounts { what, forwarded, forwarded_with_key, counted, tolerance } = counts;
            text += &format!(
                "- Counts of the load, {what}: reached the mock {forwarded}, /metrics {}; with a key {forwarded_with_key}, \
                 usage {} (± {tolerance} aborted at ends): {}.\n",
                counted.metrics_requests,
                counted.usage_requests,
                verdict(counts.matches())
            );
        }
        text + &format!("- Failed requests, of all sides: {}: {}.\n", self.failed, verdict(self.failed == 0))
    }
}

#[cfg(test)]
mod tests;
