//! Comparison of recorded usage with a provider's report, by day and model.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use access::amounts::usd;
use access::{Day, NanoUsd};
use ai::export::{ExportFigures, ExportLineKey};
use ai::{Export, ProviderKind};
use anyhow::{Context, bail};
use config::Snapshot;
use config::snapshot::Traffic;
use ledger::{Days, Ledger, RecordedUsage};
use serde_json::{Value, json};
use store::Store;

use super::days::days;
use crate::cli::Audit;
use crate::commands::printable;
use crate::failure;

/// Maximum size of a report: a month of a large organization, by hour and key.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Maximum difference of the costs of a day and model that counts as equal, in nano-USD: providers round their figures.
const COST_TOLERANCE: i64 = 10_000_000;

/// Reads the report from a file.
pub(super) fn read(file: &Path) -> anyhow::Result<Export> {
    let place = || file.display().to_string();
    let mut text = String::new();
    let opened = File::open(file).with_context(place)?;
    let bytes = opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).with_context(place)?;
    if u64::try_from(bytes).is_ok_and(|bytes| bytes > FILE_BYTES_MAX) {
        bail!("{}: the report is larger than {} MiB", place(), FILE_BYTES_MAX >> 20);
    }
    Export::read(&text).with_context(place)
}

/// Returns the comparison as text, and whether the figures agree.
pub(super) async fn compare(
    store: &Store,
    snapshot: &Snapshot,
    args: &Audit,
    report: Export,
    today: Day,
) -> anyhow::Result<(String, bool)> {
    let providers = providers(&snapshot.traffic, args.provider.as_deref(), &report)?;
    let Some(first) = report.days.first() else { bail!("the report contains no day") };
    let Some(last) = report.days.last() else { bail!("the report contains no day") };
    // The current day is incomplete, both in the store and in the report.
    let over = Day(today.0.saturating_sub(1));
    let days = days(args, (*first, (*last).min(over).max(*first)))?;
    let failed = |error| failure::of_store(&snapshot.process, error);
    let ledger = Ledger::new(store.clone());
    let kept_from = ledger.usage_kept_from().await.map_err(failed)?;
    let recorded = ledger.recorded(days).await.map_err(failed)?;
    let compared = ReportComparison::from_report(&report, &recorded, days, kept_from, providers.as_ref());
    let rendered = if args.json { format!("{:#}\n", compared.in_json(days)) } else { compared.in_words(days) };
    Ok((rendered, compared.agrees()))
}

/// Returns the configured providers that the report covers; `None` if the report names them itself, or covers all.
fn providers(traffic: &Traffic, named: Option<&str>, report: &Export) -> anyhow::Result<Option<BTreeSet<String>>> {
    if let Some(named) = named {
        return Ok(Some(BTreeSet::from([named.to_owned()])));
    }
    let Some(kind) = report.kind else { return Ok(None) };
    let of_kind = |kind: ProviderKind| {
        let of = traffic.known_providers().filter(|provider| provider.kind == kind);
        of.map(|provider| provider.name.to_string()).collect::<BTreeSet<_>>()
    };
    let found = of_kind(kind);
    match found.len() {
        1 => Ok(Some(found)),
        0 => bail!("no provider of kind {} is enabled: name the provider with --provider", kind.as_str()),
        _ => {
            let names: Vec<&str> = found.iter().map(String::as_str).collect();
            bail!("several providers are of kind {} ({}): name one with --provider", kind.as_str(), names.join(", "))
        }
    }
}

/// The difference of one measure of a day and model.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FigureDifference {
    of: ExportLineKey,
    measure: &'static str,
    recorded: i64,
    reported: i64,
}

struct ReportComparison {
    differences: Vec<FigureDifference>,
    /// Number of requested days that the report covers and whose events are stored.
    days: usize,
    /// Number of compared pairs of day and model.
    lines: usize,
    /// Number of requests whose usage no provider reported.
    unreported: u64,
    /// First day whose events are complete; requests of earlier days may have been deleted by retention.
    kept_from: Option<Day>,
}

impl ReportComparison {
    fn from_report(
        report: &Export,
        recorded: &[RecordedUsage],
        days: Days,
        kept_from: Day,
        providers: Option<&BTreeSet<String>>,
    ) -> Self {
        let first = days.first.max(kept_from);
        let compared: Vec<Day> = report.days.iter().copied().filter(|day| (first..=days.last).contains(day)).collect();
        let in_days = |day: Day| compared.binary_search(&day).is_ok();
        let recorded = recorded.iter().filter(|line| providers.is_none_or(|names| names.contains(&line.provider)));
        let recorded: Vec<&RecordedUsage> = recorded.filter(|line| in_days(line.day)).collect();
        // A measure is compared at the level at which it is reported: per model, or for all models together.
        let reported: BTreeMap<&ExportLineKey, &ExportFigures> =
            report.lines.iter().filter(|(of, _)| in_days(of.day)).collect();
        let by_provider = report.lines.keys().any(|of| of.provider.is_some());
        let by_model = report.lines.keys().any(|of| of.model.is_some());
        let columns = report.lines.values().fold(ExportFigures::default(), |all, figures| all.and(figures));
        let mut recorded_lines: BTreeMap<ExportLineKey, ExportFigures> = BTreeMap::new();
        for line in &recorded {
            let provider = by_provider.then(|| line.provider.clone());
            let model = by_model.then(|| line.model.clone());
            let of = ExportLineKey { day: line.day, provider, model };
            let sum = recorded_lines.entry(of).or_default();
            *sum = sum.and(&figures(line));
        }
        let costs_of_all = by_model && reported.keys().any(|of| of.model.is_none());
        let mut sides: BTreeMap<ExportLineKey, (ExportFigures, ExportFigures)> = BTreeMap::new();
        for (of, figures) in recorded_lines {
            if costs_of_all {
                // Costs are reported for all models together, and usage per model.
                let all = ExportLineKey { model: None, ..of.clone() };
                let sum = &mut sides.entry(all).or_default().0;
                *sum = sum.and(&ExportFigures { cost: figures.cost, ..ExportFigures::default() });
                sides.entry(of).or_default().0 = ExportFigures { cost: None, ..figures };
            } else {
                sides.entry(of).or_default().0 = figures;
            }
        }
        for (of, figures) in reported {
            sides.entry(of.clone()).or_default().1 = *figures;
        }
        let lines = sides.len();
        let differences =
            sides.iter().flat_map(|(of, (recorded, reported))| differences(of, recorded, reported, &columns)).collect();
        let unreported = recorded.iter().map(|line| line.unreported).sum();
        Self { differences, days: compared.len(), lines, unreported, kept_from: (first > days.first).then_some(first) }
    }

    const fn agrees(&self) -> bool {
        self.days > 0 && self.differences.is_empty()
    }

    fn in_words(&self, days: Days) -> String {
        let mut lines: Vec<String> = self.differences.iter().map(FigureDifference::line).collect();
        if let Some(first) = self.kept_from {
            let from = days.first;
            lines.push(format!(
                "not comparable: days from {from} to before {first}, whose events were deleted by retention"
            ));
        }
        if self.unreported > 0 {
            lines.push(format!("unreported: {} requests were answered without reported usage", self.unreported));
        }
        let first = days.first;
        let last = days.last;
        let count = self.lines;
        lines.push(match self.differences.len() {
            0 if self.days == 0 => format!("{first} to {last}: no figures could be compared"),
            0 => format!("{first} to {last}: the report agrees ({count} pairs of day and model)"),
            differing => format!("{first} to {last}: {differing} figures differ ({count} pairs of day and model)"),
        });
        lines.join("\n") + "\n"
    }

    fn in_json(&self, days: Days) -> Value {
        let one = |difference: &FigureDifference| {
            let FigureDifference { of, measure, recorded, reported } = difference;
            json!({
                "day": of.day.to_string(), "provider": of.provider, "model": of.model, "measure": measure,
                "recorded": recorded, "reported": reported, "difference": recorded - reported,
            })
        };
        json!({
            "agrees": self.agrees(),
            "days": {"since": days.first.to_string(), "until": days.last.to_string()},
            "compared_from": self.kept_from.unwrap_or(days.first).to_string(),
            "lines": self.lines,
            "unreported": self.unreported,
            "differences": self.differences.iter().map(one).collect::<Value>(),
        })
    }
}

impl FigureDifference {
    fn line(&self) -> String {
        let Self { of, measure, recorded, reported } = self;
        let provider = of.provider.as_deref().map(|name| format!("{} ", printable(name))).unwrap_or_default();
        let model = of.model.as_deref().map_or_else(|| "all models".to_owned(), printable);
        let model = if model.is_empty() { "unknown model".to_owned() } else { model };
        let written = |amount: i64| match *measure {
            "cost" => usd::written_money(NanoUsd(amount)),
            _ => amount.to_string(),
        };
        let apart = written(recorded - reported);
        let recorded = written(*recorded);
        let reported = written(*reported);
        format!(
            "differs: {} {provider}{model}: {measure}: recorded {recorded}, reported {reported} (difference {apart})",
            of.day
        )
    }
}

fn figures(line: &RecordedUsage) -> ExportFigures {
    ExportFigures {
        requests: Some(line.requests),
        input: Some(line.input),
        cached_input: Some(line.cached_input),
        cache_write_short: Some(line.cache_write_short),
        cache_write_long: Some(line.cache_write_long),
        output: Some(line.output),
        cost: Some(line.cost.0),
    }
}

/// Returns each measure that the report contains; a measure that is missing in one line counts as zero.
fn differences(
    of: &ExportLineKey,
    recorded: &ExportFigures,
    reported: &ExportFigures,
    columns: &ExportFigures,
) -> Vec<FigureDifference> {
    let counts = [
        ("requests", recorded.requests, reported.requests, columns.requests),
        ("input_tokens", recorded.input, reported.input, columns.input),
        ("cached_input_tokens", recorded.cached_input, reported.cached_input, columns.cached_input),
        ("cache_write_short_tokens", recorded.cache_write_short, reported.cache_write_short, columns.cache_write_short),
        ("cache_write_long_tokens", recorded.cache_write_long, reported.cache_write_long, columns.cache_write_long),
        ("output_tokens", recorded.output, reported.output, columns.output),
    ];
    let signed = |count: Option<u64>| count.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    let counts = counts.map(|(measure, recorded, reported, columns)| {
        (measure, signed(recorded), signed(reported), columns.is_some(), 1)
    });
    let cost = ("cost", recorded.cost, reported.cost, columns.cost.is_some(), COST_TOLERANCE);
    let all = counts
        .into_iter()
        .chain([cost])
        .filter(|(_, recorded, reported, columns, _)| *columns && (recorded.is_some() || reported.is_some()));
    let pairs = all
        .map(|(measure, recorded, reported, _, apart)| (measure, recorded.unwrap_or(0), reported.unwrap_or(0), apart));
    let differing = pairs.filter(|(_, recorded, reported, apart)| recorded.abs_diff(*reported) >= apart.unsigned_abs());
    differing
        .map(|(measure, recorded, reported, _)| FigureDifference { of: of.clone(), measure, recorded, reported })
        .collect()
}
