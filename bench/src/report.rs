//! The results, for people (Markdown) and for programs (JSON).

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::counts::ProductCounts;
use crate::exact::ResponseCheck;
use crate::pair::{ScenarioResult, SideRun};
use crate::ratio::{METHOD, Ratio};

const REST_TARGET_KIB: u64 = 30 * 1_024;
const LOADED_TARGET_KIB: u64 = 60 * 1_024;

/// All results of a run.
#[derive(Debug, Serialize)]
pub(crate) struct BenchReport {
    pub(crate) pairs: u32,
    pub(crate) seconds: u64,
    pub(crate) connections: u32,
    pub(crate) cpu_method: &'static str,
    pub(crate) scenarios: Vec<ScenarioResult>,
    pub(crate) exact: ResponseCheck,
    pub(crate) whole: LoadCounts,
    pub(crate) memory: MemoryUse,
}

/// The load of wrk: requests that the mock received, and requests that Tollgate counted.
#[derive(Debug, Serialize)]
pub(crate) struct LoadCounts {
    pub(crate) forwarded: u64,
    pub(crate) forwarded_with_key: u64,
    pub(crate) counted: ProductCounts,
    /// The number of requests that wrk may have aborted at the end of a run.
    pub(crate) tolerance: u64,
}

/// Proportional set sizes in KiB.
#[derive(Debug, Serialize)]
pub(crate) struct MemoryUse {
    pub(crate) at_rest_kib: u64,
    pub(crate) loaded_kib: u64,
    pub(crate) requests: u64,
    pub(crate) rest_seconds: u64,
}

impl LoadCounts {
    pub(crate) const fn matches(&self) -> bool {
        self.counted.metrics_requests.abs_diff(self.forwarded) <= self.tolerance
            && self.counted.usage_requests.abs_diff(self.forwarded_with_key) <= self.tolerance
    }
}

impl BenchReport {
    /// Whether every response and every count was correct. Speed targets are reported, not enforced.
    pub(crate) fn correct(&self) -> bool {
        let failed = self.scenarios.iter().flat_map(|measured| &measured.pairs).map(|pair| pair.tollgate.wrk.failed);
        self.exact.matches() && self.whole.matches() && failed.sum::<u64>() == 0
    }

    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<String> {
        let text = self.markdown()?;
        std::fs::write(dir.join("report.json"), serde_json::to_vec_pretty(self)?)?;
        std::fs::write(dir.join("report.md"), &text)?;
        Ok(text)
    }

    fn markdown(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        writeln!(
            text,
            "CPU of Tollgate compared with nginx: {} pairs of {} s, {} connections",
            self.pairs, self.seconds, self.connections
        )?;
        writeln!(
            text,
            "CPU time: {}. Interval: {METHOD}; a target is met if the upper end meets it.\n",
            self.cpu_method
        )?;
        writeln!(text, "| scenario | nginx µs | Tollgate µs | ratio | 95% | target | |")?;
        writeln!(text, "|---|---|---|---|---|---|---|")?;
        for measured in &self.scenarios {
            let (nginx, tollgate) = measured.medians();
            let found = RatioRow { what: measured.what, ratio: measured.ratio, target: measured.target };
            writeln!(text, "{}", row(found, &format!("{nginx:.2} | {tollgate:.2}")))?;
            if let Some(target) = measured.workers_target {
                let what = format!("{}: worker threads only", measured.name);
                writeln!(text, "{}", row(RatioRow { what: &what, ratio: measured.workers_ratio, target }, "| "))?;
            }
        }
        self.write_counts(&mut text)?;
        Ok(text)
    }

    fn write_counts(&self, text: &mut String) -> anyhow::Result<()> {
        let Self { exact, whole, memory, .. } = self;
        let mib = |kib: u64| format!("{}.{} MiB", kib / 1_024, kib % 1_024 * 10 / 1_024);
        writeln!(text, "\n- Responses: {} compared byte by byte with the mock's, all equal.", exact.sent)?;
        writeln!(
            text,
            "- ProductCounts of that pass: sent {}, /metrics {}; with a key {}, usage {}; tokens in responses {}, usage {}: {}.",
            exact.sent,
            exact.counted.metrics_requests,
            exact.sent_with_key,
            exact.counted.usage_requests,
            exact.tokens_answered,
            exact.counted.usage_tokens,
            verdict(exact.matches())
        )?;
        writeln!(
            text,
            "- ProductCounts of the load: reached the mock {}, /metrics {}; with a key {}, usage {} (± {} aborted by wrk): {}.",
            whole.forwarded,
            whole.counted.metrics_requests,
            whole.forwarded_with_key,
            whole.counted.usage_requests,
            whole.tolerance,
            verdict(whole.matches())
        )?;
        writeln!(
            text,
            "- PSS: {} at rest (target 30 MiB: {}), {} after {} requests and {} s of rest (target 60 MiB: {}).",
            mib(memory.at_rest_kib),
            verdict(memory.at_rest_kib <= REST_TARGET_KIB),
            mib(memory.loaded_kib),
            memory.requests,
            memory.rest_seconds,
            verdict(memory.loaded_kib <= LOADED_TARGET_KIB)
        )?;
        Ok(())
    }
}

impl ScenarioResult {
    fn medians(&self) -> (f64, f64) {
        let median = |side: fn(&crate::pair::RunPair) -> &SideRun| {
            let mut costs: Vec<f64> = self.pairs.iter().map(|pair| side(pair).cost(self.unit)).collect();
            costs.sort_by(f64::total_cmp);
            costs.get(costs.len() / 2).copied().unwrap_or(0.0)
        };
        (median(|pair| &pair.nginx), median(|pair| &pair.tollgate))
    }
}

/// A row of the table of ratios.
#[derive(Clone, Copy)]
struct RatioRow<'a> {
    what: &'a str,
    ratio: Option<Ratio>,
    target: f64,
}

fn row(found: RatioRow<'_>, costs: &str) -> String {
    let RatioRow { what, ratio, target } = found;
    match ratio {
        Some(Ratio { mean, low, high }) => {
            let is_met = if high <= target {
                String::from("met")
            } else {
                format!("missed by {:.0}%", (high / target - 1.0) * 100.0)
            };
            format!("| {what} | {costs} | {mean:.3} | {low:.3} to {high:.3} | {target:.2} | {is_met} |")
        }
        None => format!("| {what} | {costs} | not measured | | {target:.2} | |"),
    }
}

const fn verdict(good: bool) -> &'static str {
    if good { "good" } else { "NOT GOOD" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_end_decides_the_verdict() {
        let row =
            |high| row(RatioRow { what: "x", ratio: Some(Ratio { mean: 1.0, low: 0.9, high }), target: 1.1 }, "1 | 1");
        assert!(row(1.1).ends_with("| met |"));
        assert!(row(1.21).ends_with("| missed by 10% |"));
    }
}
