//! The lists of `docs/metrics.md`. Every metric in them is registered by a crate; alerts, the runbook and dashboards name no
//! other metric.

use super::finding::Finding;
use super::tree::{File, Tree};

pub(crate) const PAGE: &str = "docs/metrics.md";
pub(crate) const RULES: &str = "infrastructure/docker/prometheus/rules.yml";
const RULE_TESTS: &str = "infrastructure/alerts/tests.yml";
const RUNBOOK: &str = "docs/runbook.md";
/// The beginnings of the names of all metrics.
const PREFIXES: [&str; 3] = ["tollgate_", "api_", "process_"];
/// The metrics of backends, whose common prefix the code adds.
const BACKENDS: &str = "tollgate_backend_";

/// A metric that the page lists.
#[derive(Debug)]
pub(crate) struct ListedMetric<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: Vec<&'a str>,
    pub(crate) meaning: &'a str,
    line: usize,
}

impl ListedMetric<'_> {
    /// Whether the metric is a counter.
    pub(crate) fn is_counter(&self) -> bool {
        self.name.ends_with("_total")
    }

    /// Whether the metric is a histogram, as the first paragraph of the page lists them.
    pub(crate) fn is_histogram(&self) -> bool {
        self.name.ends_with("_duration_seconds") && !self.name.starts_with("tollgate_job_")
            || self.name == "api_response_time_seconds"
    }
}

/// The metrics of the lists, in their order. An item may name several metrics with one meaning.
pub(crate) fn listed(page: &File) -> Vec<ListedMetric<'_>> {
    page.lines().flat_map(|(line, text)| metrics_of_item(line, text)).collect()
}

/// The names of an item of a list of metrics, and their meaning.
fn item(text: &str) -> Option<(&str, &str)> {
    let (names, meaning) = text.strip_prefix("- `")?.split_once(": ")?;
    PREFIXES.iter().any(|prefix| names.starts_with(prefix)).then_some((names, meaning))
}

fn metrics_of_item(line: usize, text: &str) -> Vec<ListedMetric<'_>> {
    let Some((names, meaning)) = item(text) else { return Vec::new() };
    let quoted = names.split('`').filter(|part| PREFIXES.iter().any(|prefix| part.starts_with(prefix)));
    let metrics = quoted.map(|quoted| {
        let (name, labels) = quoted.split_once('{').unwrap_or((quoted, ""));
        let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()).collect();
        ListedMetric { name, labels, meaning, line }
    });
    metrics.collect()
}

/// Checks that the listed metrics exist, that other files name listed metrics only, and that each alert has its section.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.file(PAGE) else { return Vec::new() };
    let metrics = listed(page);
    let mut findings: Vec<Finding> = metrics
        .iter()
        .filter(|metric| !is_registered(tree, metric.name))
        .map(|metric| {
            page.line(metric.line)
                .fails(format!("lists {}, which no crate registers", metric.name), "remove it, or fix its name")
        })
        .collect();
    for path in [RULES, RULE_TESTS, RUNBOOK] {
        findings.extend(tree.file(path).into_iter().flat_map(|file| unlisted(file, &metrics)));
    }
    findings.extend(sections(tree));
    findings
}

/// Whether the source of a crate has the name, without the ending that the text encoder appends.
fn is_registered(tree: &Tree, name: &str) -> bool {
    let name = name.trim_end_matches("_total").trim_end_matches("_info");
    let literals = [name, name.strip_prefix(BACKENDS).unwrap_or(name)].map(|name| format!("\"{name}\""));
    let sources = tree.below("crates/").filter(|file| file.is(&["rs"]) && !file.path.contains("tests"));
    sources.into_iter().any(|file| literals.iter().any(|literal| file.text.contains(literal)))
}

/// Names of metrics in `file` that the page does not list.
fn unlisted(file: &File, metrics: &[ListedMetric<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        for name in names(line).filter(|name| !is_listed(name, metrics)) {
            let what = format!("names the metric {name}, which {PAGE} lacks");
            findings.push(file.line(number).fails(what, "name a metric of that page"));
        }
    }
    findings
}

/// The names of metrics in a line. A name that ends in `_` is the beginning of several, as in a regular expression.
pub(crate) fn names(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    // `api_` alone begins words that are not metrics.
    words.filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix) && word.len() > prefix.len()))
}

fn is_listed(name: &str, metrics: &[ListedMetric<'_>]) -> bool {
    metrics.iter().any(|metric| {
        let parts = ["_bucket", "_sum", "_count"];
        let is_part = || parts.iter().any(|part| name.strip_suffix(part) == Some(metric.name));
        // A regular expression may leave out the end of a name.
        metric.name == name || metric.is_histogram() && is_part() || name.len() > 12 && metric.name.starts_with(name)
    })
}

/// Alerts without a section in the runbook, and sections without an alert.
fn sections(tree: &Tree) -> Vec<Finding> {
    let Some(rules) = tree.file(RULES) else { return Vec::new() };
    let Some(runbook) = tree.file(RUNBOOK) else { return Vec::new() };
    let alerts = || rules.lines().filter_map(|(line, text)| Some((line, text.trim().strip_prefix("- alert: ")?)));
    let headings = || runbook.lines().filter_map(|(line, text)| Some((line, text.strip_prefix("## Tollgate")?)));
    let missing =
        alerts().filter(|(_, alert)| headings().all(|(_, heading)| alert.strip_prefix("Tollgate") != Some(heading)));
    let missing = missing.map(|(line, alert)| {
        rules.line(line).fails(format!("the alert {alert} has no section in {RUNBOOK}"), format!("write `## {alert}`"))
    });
    let surplus =
        headings().filter(|(_, heading)| alerts().all(|(_, alert)| alert.strip_prefix("Tollgate") != Some(heading)));
    let surplus = surplus.map(|(line, heading)| {
        runbook
            .line(line)
            .fails(format!("describes the alert Tollgate{heading}, which does not exist"), "remove the section")
    });
    missing.chain(surplus).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    const TABLE: &str =
        "- `tollgate_spool_bytes`, `tollgate_used_total{measure}`: sizes\n- `tollgate_backend_ejected{backend}`: 1\n";
    const SOURCE: &str = "register(\"tollgate_spool_bytes\"); (\"tollgate_used\", 1); (\"ejected\", 2)";

    fn check(rules: &str, runbook: &str) -> Vec<String> {
        let files = [(PAGE, TABLE), ("crates/a/src/b.rs", SOURCE), (RULES, rules), (RUNBOOK, runbook)];
        messages(&super::check(&Tree::from_files(&files)))
    }

    #[test]
    fn alerts_with_listed_metrics_and_sections_pass() {
        let rules = "- alert: TollgateFull\n  expr: tollgate_spool_bytes > 1\n";
        let runbook = "## TollgateFull\nmetrics 'tollgate_spool_(bytes|x)' tollgate_used_total";
        assert_eq!(check(rules, runbook), Vec::<String>::new());
    }

    #[test]
    fn each_mistake_is_reported() {
        for (rules, runbook, expected) in [
            (
                "- expr: tollgate_spool_byte_s",
                "",
                "rules.yml:1: names the metric tollgate_spool_byte_s, which docs/metrics.md lacks",
            ),
            ("- expr: tollgate_used", "tollgate_usedd_total", "runbook.md:1: names the metric tollgate_usedd_total"),
            ("- alert: TollgateFull", "## Other", "rules.yml:1: the alert TollgateFull has no section"),
            ("", "## TollgateFull", "runbook.md:1: describes the alert TollgateFull, which does not exist"),
        ] {
            let messages = check(rules, runbook);
            assert!(messages.len() == 1 && messages[0].contains(expected), "{expected}: {messages:?}");
        }
        let unregistered =
            super::check(&Tree::from_files(&[(PAGE, TABLE), ("crates/a/src/b.rs", "\"tollgate_used\"")]));
        assert_eq!(unregistered.len(), 2, "{:?}", messages(&unregistered));
    }
}
