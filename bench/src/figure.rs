//! Figures other than ratios to proxies, and tables in Markdown.

use serde::Serialize;

use crate::rounds::{CpuShare, RowRuns, SideRun};
use crate::rows::{PairFigure, PairKind, Row, RowKind};
use crate::sides::LineCounts;
use crate::stats::{MedianInterval, Target};

/// A figure with its target.
#[derive(Debug, Clone, Serialize)]
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
