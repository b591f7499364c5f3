//! The results, for people (Markdown) and for programs (JSON).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::exact::ResponseCheck;
use crate::idle::{CONNECTION_KIB, IdleMemory};
use crate::latency::LatencyResult;
use crate::load_counts::LoadCounts;
use crate::log_level::LogLevelCost;
use crate::machine::Machine;
use crate::median::{METHOD, MedianInterval};
use crate::order::Side;
use crate::pair::PairResult;
use crate::peer_table;
use crate::rounds::{ScenarioResult, ShareResult};
use crate::side::CpuShare;
use crate::target::Target;

const REST_MIB: Target = Target::must(30.0);
const LOADED_MIB: Target = Target::must(60.0);
/// The warning of a measurement that is too small.
const NO_RESULT: &str = "THIS IS A SMOKE CHECK: its figures must not be quoted.";

/// All results of a run.
#[derive(Debug, Serialize)]
pub(crate) struct BenchReport {
    pub(crate) pairs: u32,
    pub(crate) seconds: u64,
    pub(crate) connections: u32,
    /// Whether the measurement is large enough to be quoted.
    pub(crate) is_result: bool,
    pub(crate) machine: Machine,
    pub(crate) nginx_version: String,
    pub(crate) haproxy_version: String,
    /// The versions of Envoy and Traefik, or that one is not installed.
    pub(crate) peers: Vec<String>,
    pub(crate) cpu_method: &'static str,
    pub(crate) scenarios: Vec<ScenarioResult>,
    pub(crate) compared: Vec<PairResult>,
    pub(crate) latency: Option<LatencyResult>,
    pub(crate) log_level: Option<LogLevelCost>,
    pub(crate) idle: Option<IdleMemory>,
    pub(crate) memory: Option<MemoryUse>,
    pub(crate) exact: ResponseCheck,
    pub(crate) whole: Vec<LoadCounts>,
}

/// Proportional set sizes in KiB.
#[derive(Debug, Serialize)]
pub(crate) struct MemoryUse {
    pub(crate) at_rest_kib: u64,
    pub(crate) loaded_kib: u64,
    pub(crate) requests: u64,
    pub(crate) rest_seconds: u64,
}

impl BenchReport {
    /// Whether every response and every count was correct. Speed targets are reported, not enforced.
    pub(crate) fn correct(&self) -> bool {
        self.exact.matches() && self.whole.iter().all(LoadCounts::matches) && self.failed() == 0
    }

    fn failed(&self) -> u64 {
        let scenarios = self.scenarios.iter().map(|measured| measured.failed).sum::<u64>();
        let compared = self.compared.iter().map(|measured| measured.failed).sum::<u64>();
        let latency = self.latency.as_ref().map_or(0, |latency| latency.failed);
        scenarios + compared + latency + self.log_level.map_or(0, |cost| cost.failed)
    }

    /// Writes `report.md` and `report.json`. Returns the text and the path of the latter.
    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<(String, PathBuf)> {
        let (text, json) = (self.markdown()?, dir.join("report.json"));
        std::fs::write(&json, serde_json::to_vec_pretty(self)?)?;
        std::fs::write(dir.join("report.md"), &text)?;
        Ok((text, json))
    }

    fn markdown(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        let Machine { processor, cores, kernel, .. } = &self.machine;
        writeln!(
            text,
            "Processor time of Tollgate, nginx {} and HAProxy {}, each with two workers: {} rounds of {} s, {} connections",
            self.nginx_version, self.haproxy_version, self.pairs, self.seconds, self.connections
        )?;
        writeln!(text, "Machine: {processor}, {cores} cores, Linux {kernel}. Processor time: {}.", self.cpu_method)?;
        writeln!(text, "Figures: {METHOD}; a target is met if the upper end meets it.")?;
        if !self.peers.is_empty() {
            writeln!(text, "Further proxies, with two workers: {}.", self.peers.join(", "))?;
        }
        for line in self.machine.warning().as_deref().into_iter().chain((!self.is_result).then_some(NO_RESULT)) {
            writeln!(text, "{line}")?;
        }
        if !self.scenarios.is_empty() {
            writeln!(
                text,
                "\n| request | time | nginx µs | HAProxy µs | Tollgate µs | to nginx | to HAProxy | must | aim | |"
            )?;
            writeln!(text, "|---|---|---|---|---|---|---|---|---|---|")?;
        }
        for measured in &self.scenarios {
            for (number, cost) in measured.costs.iter().enumerate() {
                let what = if number == 0 { measured.what } else { "" };
                writeln!(text, "{}", cost_row(what, cost, self.is_result))?;
            }
        }
        let peers = peer_table::rows(&self.scenarios, self.is_result);
        if !peers.is_empty() {
            writeln!(text, "\n{}\n{}", peer_table::HEAD, peers.join("\n"))?;
        }
        if let Some(latency) = &self.latency {
            write!(text, "\n{}", latency.table())?;
        }
        let figures = self.figures();
        if !figures.is_empty() {
            writeln!(text, "\n| figure | measured | must | aim | |\n|---|---|---|---|---|")?;
        }
        for figure in &figures {
            writeln!(text, "{}", figure.row(self.is_result))?;
        }
        self.write_counts(&mut text)?;
        if !self.is_result {
            writeln!(text, "\n{NO_RESULT}")?;
        }
        Ok(text)
    }

    /// The figures other than ratios.
    fn figures(&self) -> Vec<Figure> {
        let compared = self.compared.iter().flat_map(PairResult::figures);
        let mut figures: Vec<Figure> =
            compared.map(|(what, measured, target)| Figure { what, measured, target }).collect();
        let added = self.latency.iter().flat_map(LatencyResult::figures);
        figures.extend(added.map(|(what, measured, target)| Figure { what, measured, target }));
        if let Some(cost) = &self.log_level {
            let LogLevelCost { requests, written_lines, dropped_lines, .. } = cost;
            let lines = format!("{requests} requests, {written_lines} lines, {dropped_lines} dropped");
            let what =
                |share: &str| format!("µs of {share} time added to a plain request by `log.level: info` ({lines})");
            figures.push(Figure { what: what("total"), measured: cost.total, target: cost.target });
            figures.push(Figure { what: what("user"), measured: cost.user, target: Target::NONE });
        }
        if let Some(idle) = &self.idle {
            let (count, target) = (idle.connections, idle.above_rest_target());
            let what = format!("KiB per idle connection, of {count}");
            figures.push(Figure::once(what, idle.connection_kib(), CONNECTION_KIB));
            let what = format!("MiB of {count} idle connections above rest");
            figures.push(Figure::once(what, idle.above_rest_mib(), target));
        }
        if let Some(memory) = &self.memory {
            let MemoryUse { requests, rest_seconds, .. } = memory;
            figures.push(Figure::once(String::from("MiB at rest"), mib(memory.at_rest_kib), REST_MIB));
            let what = format!("MiB after {requests} requests and {rest_seconds} s of rest");
            figures.push(Figure::once(what, mib(memory.loaded_kib), LOADED_MIB));
        }
        figures
    }

    fn write_counts(&self, text: &mut String) -> anyhow::Result<()> {
        let Self { exact, whole, .. } = self;
        writeln!(text, "\n- Responses: {} compared byte by byte with the mock's, all equal.", exact.sent)?;
        writeln!(
            text,
            "- Counts of that pass: sent {}, /metrics {}; with a key {}, usage {}; tokens in responses {}, usage {}: {}.",
            exact.sent,
            exact.counted.metrics_requests,
            exact.sent_with_key,
            exact.counted.usage_requests,
            exact.tokens_answered,
            exact.counted.usage_tokens,
            verdict(exact.matches())
        )?;
        for whole in whole {
            writeln!(
                text,
                "- Counts of the load, {}: reached the mock {}, /metrics {}; with a key {}, usage {} (± {} aborted at ends): {}.",
                whole.what,
                whole.forwarded,
                whole.counted.metrics_requests,
                whole.forwarded_with_key,
                whole.counted.usage_requests,
                whole.tolerance,
                verdict(whole.matches())
            )?;
        }
        writeln!(text, "- Failed requests, of all sides: {}: {}.", self.failed(), verdict(self.failed() == 0))?;
        Ok(())
    }
}

/// A figure that is not a ratio.
struct Figure {
    what: String,
    measured: Option<MedianInterval>,
    target: Target,
}

impl Figure {
    /// A figure that was measured once.
    fn once(what: String, measured: f64, target: Target) -> Self {
        Self { what, measured: MedianInterval::of(vec![measured]), target }
    }

    fn row(&self, is_result: bool) -> String {
        let measured = self.measured.map_or(String::from("not measured"), |MedianInterval { median, low, high }| {
            let interval = if low < high { format!(" ({low:.2} to {high:.2})") } else { String::new() };
            format!("{median:.2}{interval}")
        });
        let judged = self.target.verdict(self.measured, is_result);
        format!("| {} | {measured} | {} | {judged} |", self.what, self.target)
    }
}

fn cost_row(what: &str, cost: &ShareResult, is_result: bool) -> String {
    let micros = |side: Side| cost.micros.get(&side).map(|side| format!("{:.2}", side.median)).unwrap_or_default();
    let has_ratio = cost.share != CpuShare::System;
    let to_nginx = cost.ratios.get(&Side::Nginx).copied();
    let ratio = |ratio: Option<MedianInterval>| match ratio {
        _ if !has_ratio => String::new(),
        None => String::from("not measured"),
        Some(MedianInterval { median, low, high }) => format!("{median:.3} ({low:.3} to {high:.3})"),
    };
    format!(
        "| {what} | {} | {} | {} | {} | {} | {} | {} | {} |",
        share(cost.share),
        micros(Side::Nginx),
        micros(Side::Haproxy),
        micros(Side::Tollgate),
        ratio(to_nginx),
        ratio(cost.ratios.get(&Side::Haproxy).copied()),
        cost.target,
        cost.target.verdict(to_nginx, is_result)
    )
}

const fn share(share: CpuShare) -> &'static str {
    match share {
        CpuShare::Total => "all",
        CpuShare::User => "user",
        CpuShare::System => "system",
        CpuShare::Workers => "Tollgate's workers, all",
        CpuShare::WorkersUser => "Tollgate's workers, user",
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^52")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}

const fn verdict(good: bool) -> &'static str {
    if good { "good" } else { "NOT GOOD" }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::counts::ProductCounts;
    use crate::side::CostUnit;

    const fn exactly(median: f64) -> MedianInterval {
        MedianInterval { median, low: median - 0.01, high: median + 0.01 }
    }

    fn report(is_result: bool, counted: u64) -> BenchReport {
        let cost = |share, to_nginx: Option<MedianInterval>, target| ShareResult {
            share,
            micros: BTreeMap::from([
                (Side::Nginx, exactly(10.0)),
                (Side::Haproxy, exactly(12.0)),
                (Side::Tollgate, exactly(9.0)),
            ]),
            ratios: to_nginx
                .map(|ratio| (Side::Nginx, ratio))
                .into_iter()
                .chain([(Side::Haproxy, exactly(0.75))])
                .collect(),
            target,
            envoy_target: Target::NONE,
        };
        let scenario = ScenarioResult {
            name: "plain",
            what: "plain route",
            unit: CostUnit::Request,
            costs: vec![
                cost(CpuShare::Total, Some(exactly(0.9)), Target::must(0.95).aiming(0.85)),
                cost(CpuShare::User, Some(exactly(1.2)), Target::must(0.9)),
                cost(CpuShare::System, Some(exactly(0.5)), Target::NONE),
                cost(CpuShare::Workers, None, Target::must(1.75)),
            ],
            forwarded: 100,
            keyed: false,
            failed: 0,
            runs: 13,
        };
        let counts = ProductCounts { metrics_requests: counted, usage_requests: 0, usage_tokens: 0 };
        BenchReport {
            pairs: 12,
            seconds: 5,
            connections: 64,
            is_result,
            machine: Machine { processor: String::from("CPU"), cores: 2, kernel: String::from("6"), load: None },
            nginx_version: String::from("1.22.1"),
            haproxy_version: String::from("2.6.12"),
            peers: vec![String::from("Envoy 1.40.0")],
            cpu_method: "x",
            scenarios: vec![scenario],
            compared: Vec::new(),
            latency: None,
            log_level: None,
            idle: Some(IdleMemory { connections: 10_000, rest_kib: 10_240, open_kib: 51_240 }),
            memory: Some(MemoryUse { at_rest_kib: 10_445, loaded_kib: 70_000, requests: 7, rest_seconds: 60 }),
            exact: ResponseCheck::default(),
            whole: vec![LoadCounts { what: "x", forwarded: 100, forwarded_with_key: 0, counted: counts, tolerance: 4 }],
        }
    }

    #[test]
    fn rows_have_figure_target_and_verdict() {
        let text = report(true, 100).markdown().unwrap();
        for row in [
            "| plain route | all | 10.00 | 12.00 | 9.00 | 0.900 (0.890 to 0.910) | 0.750 (0.740 to 0.760) | 0.95 | 0.85 | met |",
            "|  | user | 10.00 | 12.00 | 9.00 | 1.200 (1.190 to 1.210) | 0.750 (0.740 to 0.760) | 0.9 |  | missed by 33% |",
            "|  | system | 10.00 | 12.00 | 9.00 |  |  |  |  |  |",
            "|  | Tollgate's workers, all | 10.00 | 12.00 | 9.00 | not measured | 0.750 (0.740 to 0.760) | 1.75 |  | not measured |",
            "| KiB per idle connection, of 10000 | 4.10 | 4 | 2 | missed by 2% |",
            "| MiB of 10000 idle connections above rest | 40.04 | 40 |  | missed by 0% |",
            "| MiB at rest | 10.20 | 30 |  | met |",
            "| MiB after 7 requests and 60 s of rest | 68.36 | 60 |  | missed by 14% |",
        ] {
            assert!(text.lines().any(|line| line == row), "{row}\n{text}");
        }
        assert!(!text.contains(NO_RESULT) && !text.contains("no result"), "{text}");
    }

    #[test]
    fn a_small_run_has_no_verdicts() {
        let text = report(false, 100).markdown().unwrap();
        assert_eq!(
            (text.matches(NO_RESULT).count(), text.contains("missed"), text.contains("| met")),
            (2, false, false)
        );
    }

    #[test]
    fn a_wrong_count_or_failed_request_is_not_correct() {
        assert!(report(true, 104).correct() && !report(true, 105).correct() && !report(true, 95).correct());
        let mut failed = report(true, 100);
        failed.scenarios[0].failed = 1;
        assert!(!failed.correct() && failed.markdown().unwrap().contains("all sides: 1: NOT GOOD"));
    }
}
