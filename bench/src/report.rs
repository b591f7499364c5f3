//! The results: figures of sides and of comparisons with their targets, and counts, as tables in Markdown.

use std::fs;
use std::path::{Path, PathBuf};

use crate::counts::LoadCounts;
use crate::plan::{RunFlags, SizeFlags};
use crate::rounds::{CpuShare, RowRuns};
use crate::rows::{PairFigure, PairKind, RatioTargets, Row, RowKind};
use crate::sides::LineCounts;
use crate::stats::{METHOD, MedianInterval, Target};

/// The warning of a measurement that is too small.
const NO_RESULT: &str = "THIS IS A SMOKE CHECK: its figures must not be quoted.";
/// The load above which other programs disturb a measurement.
const QUIET_LOAD: f64 = 0.3;
/// The proxies besides nginx that may have a target of the total time.
const PEERS: [&str; 3] = ["haproxy", "envoy", "traefik"];
/// The heads of the tables of costs, and of other figures.
const COSTS: &str = "| request | time | side | µs | Tollgate to it | must | aim | |";
const FIGURES: &str = "| figure | measured | must | aim | |";

/// All results of a run.
#[derive(Debug, Default)]
pub(crate) struct BenchReport {
    pub(crate) size: String,
    /// Whether the measurement is large enough to be quoted.
    pub(crate) is_result: bool,
    pub(crate) machine: Machine,
    /// The versions of the proxies, or that one is not installed.
    pub(crate) versions: Vec<String>,
    pub(crate) cpu_method: &'static str,
    pub(crate) costs: Vec<CostResult>,
    pub(crate) figures: Vec<Figure>,
    /// The table of added latencies; empty if they were not measured.
    pub(crate) latency: String,
    pub(crate) counts: Vec<LoadCounts>,
    /// The number of failed requests of all sides.
    pub(crate) failed: u64,
}

/// Facts about the machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    /// The average number of running processes in the minute before the measurement.
    load: Option<f64>,
}

/// One share of the processor time of a side of a row beside proxies.
#[derive(Debug, Clone)]
pub(crate) struct CostResult {
    what: &'static str,
    share: CpuShare,
    side: &'static str,
    /// In microseconds per unit.
    micros: Option<MedianInterval>,
    /// The ratio of Tollgate's time to that of this side, of the rounds; `None` for Tollgate.
    ratio: Option<MedianInterval>,
    target: Target,
}

/// A figure with its target.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) measured: Option<MedianInterval>,
    pub(crate) target: Target,
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
    /// The results of each share and side that a row beside proxies reports. Tollgate is the last side.
    pub(crate) fn from_runs(row: &Row, targets: &RatioTargets, runs: &RowRuns) -> Vec<Self> {
        let mut shares = vec![CpuShare::Total, CpuShare::User, CpuShare::System];
        if targets.workers.is_some() {
            shares.extend([CpuShare::Workers, CpuShare::WorkersUser]);
        }
        let tollgate = runs.names.len().saturating_sub(1);
        let mut results = Vec::new();
        for share in shares {
            for (at, side) in runs.names.iter().enumerate() {
                let micros = runs.median(|round| runs.cost(round, at, share));
                let ratio = if at == tollgate { None } else { runs.ratio([tollgate, at], share) };
                results.push(Self { what: row.what, share, side, micros, ratio, target: target(targets, share, side) });
            }
        }
        results
    }

    fn row(&self, is_result: bool) -> Vec<String> {
        let time = match self.share {
            CpuShare::Total => "all",
            CpuShare::User => "user",
            CpuShare::System => "system",
            CpuShare::Workers => "Tollgate's workers, all",
            CpuShare::WorkersUser => "Tollgate's workers, user",
        };
        let text =
            |found: Option<MedianInterval>, decimals| found.map(|found| found.text(decimals)).unwrap_or_default();
        let [must, aim] = self.target.cells();
        let judged = self.target.verdict(self.ratio, is_result);
        let first = [self.what, time, self.side].map(str::to_owned).into_iter();
        first.chain([text(self.micros, 2), text(self.ratio, 3), must, aim, judged]).collect()
    }
}

/// The target of the ratio of a share to that of a side.
fn target(targets: &RatioTargets, share: CpuShare, side: &str) -> Target {
    match (share, side) {
        (CpuShare::Total, "nginx") => targets.total,
        (CpuShare::User, "nginx") => targets.user,
        (CpuShare::Workers, "nginx") => targets.workers.unwrap_or_default(),
        (CpuShare::Total, side) => {
            let peer = PEERS.iter().zip(targets.peers).find(|(peer, _)| **peer == side);
            Target { must: peer.and_then(|(_, must)| must), aim: None }
        }
        (CpuShare::User | CpuShare::System | CpuShare::Workers | CpuShare::WorkersUser, _) => Target::NONE,
    }
}

impl Figure {
    /// A figure that was measured once.
    pub(crate) fn once(what: String, measured: f64, target: Target) -> Self {
        Self { what, measured: MedianInterval::from_values(vec![measured]), target }
    }

    /// The figures of a row that compares two sides.
    pub(crate) fn of_pair(row: &Row, runs: &RowRuns, lines: Option<LineCounts>) -> Vec<Self> {
        let RowKind::Pair(kind, target) = row.kind else { return Vec::new() };
        let figure = kind.figure();
        let compared = |share: CpuShare| {
            runs.median(|round| {
                let [first, other] = [0, 1].map(|at| runs.cost(round, at, share));
                if figure == PairFigure::Difference { other - first } else { other / first }
            })
        };
        let of = |what, measured, target| Self { what, measured, target };
        if let PairKind::LogLevel = kind
            && let Some(LineCounts { requests, written, dropped }) = lines
        {
            let text = format!("{requests} requests, {written} lines, {dropped} dropped");
            let what = |time| format!("µs of {time} time added to a plain request by `log.level: info` ({text})");
            let [total, user] = [CpuShare::Total, CpuShare::User].map(compared);
            return vec![of(what("total"), total, target), of(what("user"), user, Target::NONE)];
        }
        let side = |(at, name): (usize, &&str)| {
            let measured = runs.median(|round| runs.cost(round, at, CpuShare::Total));
            of(format!("µs per request, {}, {name}", row.what), measured, Target::NONE)
        };
        let mut figures: Vec<Self> = runs.names.iter().enumerate().map(side).collect();
        let word = match figure {
            PairFigure::Ratio => "ratio",
            PairFigure::Difference => "µs added",
        };
        figures.push(of(format!("{word}, {}", row.what), compared(CpuShare::Total), target));
        if runs.rounds.iter().flatten().all(|run| run.workers.is_some()) {
            let workers = compared(CpuShare::Workers);
            figures.push(of(format!("{word}, {}, worker threads", row.what), workers, Target::NONE));
        }
        figures
    }

    fn row(&self, is_result: bool) -> Vec<String> {
        let measured = self.measured.map_or(String::from("not measured"), |figure| figure.text(2));
        let [must, aim] = self.target.cells();
        vec![self.what.clone(), measured, must, aim, self.target.verdict(self.measured, is_result)]
    }
}

/// A table in Markdown after an empty line; nothing without rows.
pub(crate) fn table(head: &str, rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let rule = "---|".repeat(head.matches('|').count() - 1);
    let rows: String = rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    format!("\n{head}\n|{rule}\n{rows}")
}

impl BenchReport {
    /// A report without rows.
    pub(crate) fn new(plan: &RunFlags, machine: Machine, cpu_method: &'static str) -> Self {
        let SizeFlags { pairs, seconds, connections, .. } = plan.size;
        let size = format!("{pairs} rounds of {seconds} s, {connections} connections");
        Self { size, is_result: plan.is_result(), machine, cpu_method, ..Self::default() }
    }

    /// Whether every request succeeded and every count was correct. Speed targets are reported, not enforced.
    pub(crate) fn correct(&self) -> bool {
        self.counts.iter().all(LoadCounts::matches) && self.failed == 0
    }

    /// Writes `report.md`. Returns the text and the path.
    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<(String, PathBuf)> {
        let text = self.markdown();
        let file = dir.join("report.md");
        fs::write(&file, &text)?;
        Ok((text, file))
    }

    fn markdown(&self) -> String {
        let Machine { processor, cores, kernel, .. } = &self.machine;
        let mut text = format!(
            "Processor time of Tollgate and {}, each with two workers: {}\n\
             Machine: {processor}, {cores} cores, Linux {kernel}. Processor time: {}.\n\
             Figures: {METHOD}; a target is met if the upper end meets it.\n",
            self.versions.join(", "),
            self.size,
            self.cpu_method
        );
        for line in self.machine.warning().as_deref().into_iter().chain((!self.is_result).then_some(NO_RESULT)) {
            text += &format!("{line}\n");
        }
        let costs: Vec<_> = self.costs.iter().map(|cost| cost.row(self.is_result)).collect();
        let figures: Vec<_> = self.figures.iter().map(|figure| figure.row(self.is_result)).collect();
        text += &format!("{}{}{}\n", table(COSTS, &costs), table(FIGURES, &figures), self.latency);
        let verdict = |good| if good { "good" } else { "NOT GOOD" };
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
        text += &format!("- Failed requests, of all sides: {}: {}.\n", self.failed, verdict(self.failed == 0));
        if self.is_result { text } else { format!("{text}\n{NO_RESULT}\n") }
    }
}

#[cfg(test)]
mod tests;
