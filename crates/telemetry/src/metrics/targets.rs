//! Metrics of the targets of models that may have more than one attempt or have limits. Each scrape reads them from the
//! states of the targets, so a removed target has no series.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::board::{BackendBoard, TARGET_RESULTS, TargetStatus};
use super::family::LabelValue;
use super::proxy::ModelLabels;

/// Maximum number of targets with series of their own. Further ones are counted as `other`.
const TARGETS_MAX: usize = 500;

/// Reads the targets at each scrape.
#[derive(Debug)]
struct TargetCollector(Arc<BackendBoard>);

/// Labels of the attempts at one target with one result.
#[derive(Debug, EncodeLabelSet)]
struct TargetResultLabels {
    /// The name of the provider in the configuration.
    provider: LabelValue,
    /// The model of the target in the configuration.
    model: LabelValue,
    /// `succeeded`, or the cause of the failure.
    result: &'static str,
}

/// The values of one target, or the sums of those that share their labels.
#[derive(Debug, Default)]
struct TargetValues {
    attempts: [u64; TARGET_RESULTS.len()],
    cooled_down: i64,
    limit_skips: u64,
}

/// Registers the metrics of the targets on the board.
pub(super) fn register(registry: &mut Registry, board: &Arc<BackendBoard>) {
    registry.register_collector(Box::new(TargetCollector(board.clone())));
}

impl Collector for TargetCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let targets = by_labels(&self.0.targets());
        if targets.is_empty() {
            return Ok(());
        }
        let help = "Attempts at targets of models that may have several, by result.";
        let mut metric = encoder.encode_descriptor("tollgate_target_attempts", help, None, MetricType::Counter)?;
        for (ModelLabels { provider, model }, values) in &targets {
            for (result, count) in TARGET_RESULTS.into_iter().zip(values.attempts).filter(|(_, count)| *count > 0) {
                let labels = TargetResultLabels { provider: provider.clone(), model: model.clone(), result };
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        let help = "1 while a target of a model is left out after failures.";
        let mut metric = encoder.encode_descriptor("tollgate_target_cooled_down", help, None, MetricType::Gauge)?;
        for (labels, values) in &targets {
            metric.encode_family(labels)?.encode_gauge(&values.cooled_down)?;
        }
        let help = "Calls that skipped a target of a model because of its limits.";
        let mut metric = encoder.encode_descriptor("tollgate_target_limit_skips", help, None, MetricType::Counter)?;
        for (labels, values) in targets.iter().filter(|(_, values)| values.limit_skips > 0) {
            metric.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(&values.limit_skips, None)?;
        }
        Ok(())
    }
}

/// Returns the values by labels. Two names with the same beginning may share labels.
fn by_labels(statuses: &[TargetStatus]) -> BTreeMap<ModelLabels, TargetValues> {
    let mut targets: BTreeMap<ModelLabels, TargetValues> = BTreeMap::new();
    for status in statuses {
        let mut labels = ModelLabels { provider: (&status.provider).into(), model: (&status.model).into() };
        if targets.len() >= TARGETS_MAX && !targets.contains_key(&labels) {
            labels = ModelLabels { provider: LabelValue::other(), model: LabelValue::other() };
        }
        let values = targets.entry(labels).or_default();
        values.attempts.iter_mut().zip(status.attempts).for_each(|(count, more)| *count += more);
        values.cooled_down += i64::from(status.cooled_down.is_some());
        values.limit_skips += status.limit_skips;
    }
    targets
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Metrics;

    fn status(model: &str, cooled_down: Option<Duration>) -> TargetStatus {
        let mut attempts = [0; TARGET_RESULTS.len()];
        (attempts[0], attempts[4]) = (3, 1);
        let provider = "p".into();
        let model = model.into();
        let limit_skips = u64::from(cooled_down.is_some());
        let reached_limit = None;
        let content_us = None;
        TargetStatus { provider, model, attempts, cooled_down, reached_limit, limit_skips, content_us }
    }

    #[test]
    fn targets_are_read_at_each_scrape_and_further_ones_are_summed() {
        let metrics = Metrics::new();
        assert!(!metrics.encode().contains("tollgate_target"), "without targets there are no series");
        let names = move || (0..TARGETS_MAX + 2).map(|n| status(&format!("m{n}"), (n != 7).then_some(Duration::ZERO)));
        metrics.backends.set_targets(move || names().collect());
        let text = metrics.encode();
        for line in [
            r#"tollgate_target_attempts_total{provider="p",model="m0",result="succeeded"} 3"#,
            r#"tollgate_target_attempts_total{provider="p",model="m0",result="5xx"} 1"#,
            r#"tollgate_target_attempts_total{provider="other",model="other",result="succeeded"} 6"#,
            r#"tollgate_target_cooled_down{provider="p",model="m7"} 0"#,
            r#"tollgate_target_cooled_down{provider="p",model="m8"} 1"#,
            r#"tollgate_target_cooled_down{provider="other",model="other"} 2"#,
            r#"tollgate_target_limit_skips_total{provider="p",model="m8"} 1"#,
            r#"tollgate_target_limit_skips_total{provider="other",model="other"} 2"#,
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is missing in {}", &text[..2_000.min(text.len())]);
        }
        assert!(!text.contains(r#"result="reset""#), "results that did not occur have no series");
        assert!(!text.contains(r#"skips_total{provider="p",model="m7"}"#), "nor has a target that no call skipped");
    }
}
