//! The results: costs, figures and counts, as tables in Markdown.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::counts::LoadCounts;
use crate::latency::LatencyResult;
use crate::plan::{RunFlags, SizeFlags};
use crate::rounds::{CpuShare, RowRuns, SideRun};
use crate::rows::{PairFigure, PairKind, RatioTargets, Row, RowKind};
use crate::sides::LineCounts;
use crate::stats::{METHOD, MedianInterval, Target};

/// The proxies besides nginx that a ratio may have a target for, with their names in the report.
const PEERS: [(&str, &str); 3] = [("haproxy", "HAProxy"), ("envoy", "Envoy"), ("traefik", "Traefik")];

/// The warning of a measurement that is too small.
const NO_RESULT: &str = "THIS IS A SMOKE CHECK: its figures must not be quoted.";
/// The load above which other programs disturb a measurement.
const QUIET_LOAD: f64 = 0.3;

/// All results of a run.
#[derive(Debug, Default)]
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

/// One share of the processor time of a row beside proxies, in microseconds per unit.
#[derive(Debug, Clone)]
pub(crate) struct CostResult {
    what: &'static str,
    share: CpuShare,
    /// The medians of the sides. A side that was not measured is missing.
    micros: BTreeMap<&'static str, MedianInterval>,
    /// The ratios of Tollgate's time to each other side's, of the rounds.
    ratios: BTreeMap<&'static str, MedianInterval>,
    /// The maxima of the ratios that have one.
    targets: BTreeMap<&'static str, Target>,
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
            let of_peers = PEERS.iter().zip(targets.peers).filter(|_| share == CpuShare::Total);
            let of_peers = of_peers.filter_map(|((peer, _), maximum)| Some((*peer, Target::must(maximum?))));
            Self {
                what: row.what,
                share,
                micros: sides().filter_map(micros).collect(),
                ratios: sides().take(tollgate).filter_map(ratio).collect(),
                targets: of_peers.chain((target != Target::NONE).then_some(("nginx", target))).collect(),
            }
        };
        shares.into_iter().map(result).collect()
    }

    fn row(&self, is_result: bool) -> Vec<String> {
        let (what, time) = match self.share {
            CpuShare::Total => (self.what, "all"),
            CpuShare::User => ("", "user"),
            CpuShare::System => ("", "system"),
            CpuShare::Workers => ("", "Tollgate's workers, all"),
            CpuShare::WorkersUser => ("", "Tollgate's workers, user"),
        };
        let micros = |side| self.micros.get(side).map(|side| format!("{:.2}", side.median)).unwrap_or_default();
        let ratio = |side| if self.share == CpuShare::System { String::new() } else { self.ratio(side) };
        let cells = ["nginx", "haproxy", "tollgate"].map(micros).into_iter().chain(["nginx", "haproxy"].map(ratio));
        [what, time].map(str::to_owned).into_iter().chain(cells).chain(self.judged("nginx", is_result)).collect()
    }

    fn ratio(&self, side: &str) -> String {
        self.ratios.get(side).map_or(String::from("not measured"), |ratio| ratio.text(3))
    }

    /// The target of the ratio to a side, and the verdict.
    fn judged(&self, side: &str, is_result: bool) -> [String; 3] {
        let target = self.targets.get(side).copied().unwrap_or_default();
        let [must, aim] = target.cells();
        [must, aim, target.verdict(self.ratios.get(side).copied(), is_result)]
    }

    /// The rows beside Envoy and Traefik, and beside HAProxy if it has a target.
    fn peer_rows(&self, is_result: bool) -> Vec<Vec<String>> {
        let time = match self.share {
            CpuShare::Total => "all",
            CpuShare::User => "user",
            CpuShare::System | CpuShare::Workers | CpuShare::WorkersUser => return Vec::new(),
        };
        let row = |(side, name): (&str, &str)| {
            let micros = format!("{:.2}", self.micros.get(side)?.median);
            let cells = [self.what.to_owned(), time.to_owned(), name.to_owned(), micros, self.ratio(side)];
            Some(cells.into_iter().chain(self.judged(side, is_result)).collect())
        };
        let is_shown = |(side, _): &(&str, &str)| *side != "haproxy" || self.targets.contains_key(side);
        PEERS.into_iter().filter(is_shown).filter_map(row).collect()
    }
}

impl BenchReport {
    /// A report without rows.
    pub(crate) fn of(plan: &RunFlags, machine: Machine, cpu_method: &'static str) -> Self {
        let SizeFlags { pairs, seconds, connections, .. } = plan.size;
        let is_result = plan.is_result();
        Self { pairs, seconds, connections, is_result, machine, cpu_method, ..Self::default() }
    }

    /// Whether every request succeeded and every count was correct. Speed targets are reported, not enforced.
    pub(crate) fn correct(&self) -> bool {
        self.counts.iter().all(LoadCounts::matches) && self.failed == 0
    }

    /// Writes `report.md`. Returns the text and the path.
    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<(String, PathBuf)> {
        let (text, file) = (self.markdown(), dir.join("report.md"));
        fs::write(&file, &text)?;
        Ok((text, file))
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
        let mut text = String::from("\n");
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

/// A figure with its target.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) measured: Option<MedianInterval>,
    pub(crate) target: Target,
}

impl Figure {
    /// A figure that was measured once.
    pub(crate) fn once(what: String, measured: f64, target: Target) -> Self {
        Self { what, measured: MedianInterval::of(vec![measured]), target }
    }

    /// The figures of a row that compares two sides.
    pub(crate) fn of_pair(row: &Row, runs: &RowRuns, lines: Option<LineCounts>) -> Vec<Self> {
        let RowKind::Pair(kind, target) = row.kind else { return Vec::new() };
        let figure = kind.figure();
        let percent = |micros: f64| row.load.rate().map_or(micros, |rate| percent(micros, rate));
        let compared = |share: CpuShare, workers: bool| {
            runs.median(|round| {
                let is_known = !workers || round.iter().all(|run: &SideRun| run.workers.is_some());
                let [first, other] = [0, 1].map(|at| runs.cost(round, at, share));
                match figure {
                    _ if !is_known => f64::NAN,
                    PairFigure::Difference => other - first,
                    PairFigure::Ratio | PairFigure::Share => other / first,
                }
            })
        };
        let of = |what, measured, target| Self { what, measured, target };
        if let (PairKind::LogLevel, Some(LineCounts { requests, written, dropped })) = (kind, lines) {
            let text = format!("{requests} requests, {written} lines, {dropped} dropped");
            let what = |time| format!("µs of {time} time added to a plain request by `log.level: info` ({text})");
            let [total, user] = [CpuShare::Total, CpuShare::User].map(|share| compared(share, false));
            return vec![of(what("total"), total, target), of(what("user"), user, Target::NONE)];
        }
        let (unit, each) = match figure {
            PairFigure::Share => ("% of one core", target),
            PairFigure::Ratio | PairFigure::Difference => ("µs per request", Target::NONE),
        };
        let side = |(at, name): (usize, &&str)| {
            let measured = runs.median(|round| percent(runs.cost(round, at, CpuShare::Total)));
            of(format!("{unit}, {}, {name}", row.what), measured, each)
        };
        let mut figures: Vec<Self> = runs.names.iter().enumerate().map(side).collect();
        let word = match figure {
            PairFigure::Share => return figures,
            PairFigure::Ratio => "ratio",
            PairFigure::Difference => "µs added",
        };
        figures.push(of(format!("{word}, {}", row.what), compared(CpuShare::Total, false), target));
        if let Some(workers) = compared(CpuShare::Workers, true) {
            figures.push(of(format!("{word}, {}, worker threads", row.what), Some(workers), Target::NONE));
        }
        figures
    }

    pub(crate) fn row(&self, is_result: bool) -> Vec<String> {
        let measured = self.measured.map_or(String::from("not measured"), |figure| figure.text(2));
        let [must, aim] = self.target.cells();
        vec![self.what.clone(), measured, must, aim, self.target.verdict(self.measured, is_result)]
    }
}

/// The processor time of `rate` requests per second, at `micros` each, as percent of one core.
#[expect(clippy::cast_precision_loss, reason = "below 2^52")]
fn percent(micros: f64, rate: u64) -> f64 {
    micros * rate as f64 / 10_000.0
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

#[cfg(test)]
mod tests;
