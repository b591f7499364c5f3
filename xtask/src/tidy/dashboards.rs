//! The dashboards of Grafana. `cargo run -p xtask -- dashboards` writes them from [`boards`] and the lists of
//! `docs/metrics.md`; tidy compares them. A panel with a metric or a label that the lists lack is an error.

mod boards;
mod panel;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::finding::Finding;
use super::metrics::{self, ListedMetric, PAGE, RULES};
use super::tree::Tree;
use panel::Board;

const FOLDER: &str = "infrastructure/docker/grafana/dashboards/";
/// The columns of a dashboard in Grafana.
const COLUMNS: usize = 24;

/// Compares the dashboards with the declarations.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.file(PAGE) else { return Vec::new() };
    let metrics = metrics::listed(page);
    let mut findings = Vec::new();
    for board in boards::ALL {
        let path = path(board);
        match text(board, &metrics) {
            Err(error) => {
                findings.push(page.whole().fails(format!("lacks what {path} shows: {error:#}"), "fix the panel"));
            }
            Ok(text) if tree.file(&path).is_some_and(|file| file.text == text) => {}
            Ok(_) => findings
                .push(page.whole().fails(format!("and {path} differ"), "run `cargo run -p xtask -- dashboards`")),
        }
    }
    findings.extend(without_panel(tree));
    findings
}

/// Metrics of alerts that no panel shows.
fn without_panel(tree: &Tree) -> Vec<Finding> {
    let rows = boards::ALL.iter().flat_map(|board| board.rows);
    let shown: BTreeSet<&str> =
        rows.flat_map(|(_, row)| *row).flat_map(|panel| panel.queries).map(|query| query.metric).collect();
    let Some(rules) = tree.file(RULES) else { return Vec::new() };
    let mut findings = Vec::new();
    for (number, line) in rules.lines() {
        for name in metrics::names(line).filter(|name| !shown.contains(name)) {
            let what = format!("alerts on {name}, which no panel of a dashboard shows");
            findings.push(rules.line(number).fails(what, "add a panel to boards.rs"));
        }
    }
    findings
}

/// Writes all dashboards.
///
/// # Errors
/// A panel has a metric or a label that does not exist, or a file cannot be written.
pub(crate) fn write(root: &Path) -> anyhow::Result<()> {
    let tree = Tree::read(root)?;
    let page = tree.file(PAGE).with_context(|| format!("{PAGE} is missing"))?;
    let metrics = metrics::listed(page);
    for board in boards::ALL {
        fs::write(root.join(path(board)), text(board, &metrics)?)?;
    }
    Ok(())
}

fn path(board: &Board) -> String {
    format!("{FOLDER}{}.json", board.name)
}

fn text(board: &Board, metrics: &[ListedMetric<'_>]) -> anyhow::Result<String> {
    let mut panels = Vec::new();
    let mut y = 0;
    for (title, row) in board.rows {
        ensure!(
            !row.is_empty() && COLUMNS.is_multiple_of(row.len()),
            "the row {title} cannot be divided into {} panels",
            row.len()
        );
        panels.push(json!({
            "id": panels.len() + 1, "type": "row", "title": title, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        }));
        let width = COLUMNS / row.len();
        let height = 8;
        for (index, panel) in row.iter().enumerate() {
            let place = json!({"x": index * width, "y": y + 1, "w": width, "h": height});
            let json = panel.json(metrics, panels.len() + 1, &place);
            panels.push(json.with_context(|| format!("the panel \"{}\"", panel.title))?);
        }
        y += height + 1;
    }
    let mut text = serde_json::to_string_pretty(&json!({
        "uid": format!("tollgate-{}", board.name), "title": board.title, "tags": ["tollgate"],
        "schemaVersion": 41, "version": 1, "editable": true, "refresh": "30s", "timezone": "utc",
        "time": {"from": "now-6h", "to": "now"}, "templating": {"list": variables(board)}, "panels": panels,
    }))?;
    text.push('\n');
    Ok(text)
}

/// The variables at the top of a dashboard: the data source, and the nodes.
fn variables(board: &Board) -> Value {
    let several = !board.is_of_one_node;
    json!([
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
        {
            "name": "instance", "type": "query", "label": "Node", "refresh": 2, "multi": several, "includeAll": several,
            "allValue": several.then_some(".*"), "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "query": {"query": "label_values(tollgate_build_info, instance)", "refId": "instance"}, "sort": 1,
        },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    #[test]
    fn a_metric_or_label_that_the_page_lacks_fails() {
        let empty = messages(&check(&Tree::from_files(&[(PAGE, "")])));
        assert!(
            empty.len() == boards::ALL.len() && empty.iter().all(|message| message.contains("is not listed")),
            "{empty:?}"
        );
        let root = crate::root().unwrap();
        let page = fs::read_to_string(root.join(PAGE)).unwrap();
        let altered = page.replace("tollgate_spool_bytes", "tollgate_spool_octets");
        let messages = messages(&check(&Tree::from_files(&[(PAGE, &altered)])));
        assert!(messages.iter().any(|message| message.contains("tollgate_spool_bytes is not listed")), "{messages:?}");
    }

    #[test]
    fn an_alert_on_a_metric_without_a_panel_fails() {
        let rules =
            "expr: tollgate_spool_bytes > 1\nexpr: tollgate_cache_bytes > 1\nrunbook: docs/runbook.md#tollgatefull";
        let messages = messages(&without_panel(&Tree::from_files(&[(RULES, rules)])));
        assert!(
            messages.len() == 1 && messages[0].contains("rules.yml:2: alerts on tollgate_cache_bytes"),
            "{messages:?}"
        );
    }

    #[test]
    fn each_dashboard_has_panels_with_queries_and_a_meaning() {
        let root = crate::root().unwrap();
        for board in boards::ALL {
            let json: Value = serde_json::from_str(&fs::read_to_string(root.join(path(board))).unwrap()).unwrap();
            let panels = json["panels"].as_array().unwrap();
            let shown: Vec<&Value> = panels.iter().filter(|panel| panel["type"] != "row").collect();
            assert!(shown.len() > 7, "{}", board.name);
            for panel in shown {
                assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
                assert!(!panel["description"].as_str().unwrap().is_empty(), "{panel}");
            }
        }
    }
}
