//! Panels of a dashboard, and their queries in PromQL.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::tidy::metrics::ListedMetric;

/// A dashboard: its file, its title, and rows of panels.
pub(super) struct Board {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// Whether the dashboard shows one node instead of all.
    pub(super) is_of_one_node: bool,
    pub(super) rows: &'static [(&'static str, &'static [Panel])],
}

/// A panel with one or more queries.
pub(super) struct Panel {
    pub(super) title: &'static str,
    /// The unit as Grafana names it.
    pub(super) unit: &'static str,
    pub(super) queries: &'static [Query],
}

/// One query of a panel: a metric and its computation.
pub(super) struct Query {
    pub(super) metric: &'static str,
    pub(super) computes: Computation,
    /// The labels by which the result is divided.
    pub(super) by: &'static [&'static str],
    /// Conditions on labels, such as `result="failed"`.
    pub(super) only: &'static [&'static str],
}

/// The value that a query computes from a metric.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Computation {
    /// The increase of a counter per second.
    Rate,
    /// The increase of a counter in the range of the dashboard.
    Increase,
    /// The increase per second of a counter of nano-USD, in USD per hour.
    UsdPerHour,
    /// The share that `only` has of the counter.
    Share,
    /// The sum of a gauge.
    Sum,
    /// The maximum of a gauge.
    Max,
    /// A quantile of a histogram, in percent.
    Quantile(u8),
    /// The time since a Unix time.
    Since,
    /// The time until a Unix time.
    Until,
}

impl Panel {
    /// The panel as Grafana reads it.
    ///
    /// # Errors
    /// A query has a metric or a label that is not listed, or one of another kind.
    pub(super) fn json(&self, metrics: &[ListedMetric<'_>], id: usize, place: &Value) -> anyhow::Result<Value> {
        ensure!(!self.queries.is_empty(), "has no query");
        let mut targets = Vec::new();
        let mut meanings: Vec<String> = Vec::new();
        for (query, letter) in self.queries.iter().zip('A'..='Z') {
            let (target, meaning) = query.json(metrics, letter)?;
            targets.push(target);
            if !meanings.contains(&meaning) {
                meanings.push(meaning);
            }
        }
        let is_of_range = self.queries.iter().all(|query| query.computes == Computation::Increase);
        let reduce = json!({"reduceOptions": {"calcs": ["lastNotNull"]}, "orientation": "horizontal"});
        let legend =
            json!({"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}});
        Ok(json!({
            "id": id, "title": self.title, "description": meanings.join("\n\n"), "gridPos": place,
            "type": if is_of_range { "bargauge" } else { "timeseries" },
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "fieldConfig": {"defaults": {"unit": self.unit, "min": 0}, "overrides": []},
            "options": if is_of_range { reduce } else { legend },
            "targets": targets,
        }))
    }
}

impl Query {
    /// The query, and the meaning of its metric.
    fn json(&self, metrics: &[ListedMetric<'_>], letter: char) -> anyhow::Result<(Value, String)> {
        let name = self.metric;
        let metric =
            metrics.iter().find(|metric| metric.name == name).with_context(|| format!("{name} is not listed"))?;
        let conditions = self.only.iter().map(|condition| condition.split(['=', '!']).next().unwrap_or_default());
        for label in self.by.iter().copied().chain(conditions) {
            ensure!(label == "instance" || metric.labels.contains(&label), "{name} has no label {label}");
        }
        let is_right = match self.computes {
            Computation::Rate | Computation::Increase | Computation::UsdPerHour | Computation::Share => {
                metric.is_counter()
            }
            Computation::Quantile(_) => metric.is_histogram(),
            Computation::Sum | Computation::Max => !metric.is_counter() && !metric.is_histogram(),
            Computation::Since | Computation::Until => {
                name.ends_with("_timestamp_seconds") || name.ends_with("start_time_seconds")
            }
        };
        ensure!(is_right, "{name} is a metric of another kind");
        let legend: Vec<String> = self.by.iter().map(|label| format!("{{{{{label}}}}}")).collect();
        let legend = match (self.computes, legend.is_empty()) {
            (Computation::Quantile(percent), true) => format!("p{percent}"),
            (Computation::Quantile(percent), false) => format!("p{percent} {}", legend.join(" ")),
            (_, true) => name.trim_start_matches("tollgate_").to_owned(),
            (_, false) => legend.join(" "),
        };
        let is_range = self.computes == Computation::Increase;
        // Grafana shows the exemplars of a histogram that has some.
        let target = json!({
            "refId": letter, "expr": self.expression(), "legendFormat": legend, "instant": is_range, "range": !is_range,
            "exemplar": metric.is_histogram(),
        });
        Ok((target, format!("`{name}`: {}", metric.meaning)))
    }

    fn expression(&self) -> String {
        let name = self.metric;
        let conditions = |conditions: &[&str]| {
            let mut all = vec!["instance=~\"$instance\""];
            all.extend(conditions);
            all.join(",")
        };
        let only = conditions(self.only);
        let all = conditions(&[]);
        let by = if self.by.is_empty() { String::new() } else { format!(" by ({})", self.by.join(", ")) };
        let rate = |labels: &str| format!("sum{by} (rate({name}{{{labels}}}[$__rate_interval]))");
        match self.computes {
            Computation::Rate => rate(&only),
            Computation::Increase => format!("sum{by} (increase({name}{{{only}}}[$__range]))"),
            Computation::UsdPerHour => format!("{} / 1e9 * 3600", rate(&only)),
            Computation::Share => format!("{} / {}", rate(&only), rate(&all)),
            Computation::Sum => format!("sum{by} ({name}{{{only}}})"),
            Computation::Max => format!("max{by} ({name}{{{only}}})"),
            Computation::Quantile(percent) => {
                let labels = std::iter::once("le").chain(self.by.iter().copied()).collect::<Vec<_>>().join(", ");
                format!(
                    "histogram_quantile({}, sum by ({labels}) (rate({name}_bucket{{{only}}}[$__rate_interval])))",
                    f64::from(percent) / 100.0
                )
            }
            Computation::Since => format!("time() - max{by} ({name}{{{only}}})"),
            Computation::Until => format!("min{by} ({name}{{{only}}}) - time()"),
        }
    }
}
