//! Metrics of the targets of models that may have more than one attempt.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::family::{Family, LabelSet, LabelValue};
use super::proxy::ModelLabels;

/// Maximum number of targets; real configurations have fewer.
const TARGET_SERIES_MAX: usize = 500;
/// Number of results of an attempt.
const RESULTS: usize = 10;

/// Labels of the attempts at one target with one result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct TargetResultLabels {
    /// The name of the provider in the configuration.
    pub provider: LabelValue,
    /// The model of the target in the configuration.
    pub model: LabelValue,
    /// `succeeded`, or the cause of the failure.
    pub result: &'static str,
}

impl LabelSet for TargetResultLabels {
    fn overflow(&self) -> Self {
        Self { provider: LabelValue::other(), model: LabelValue::other(), result: self.result }
    }
}

/// Metrics of the targets of models.
pub struct TargetMetrics {
    /// `tollgate_target_attempts_total`: attempts by their result.
    pub attempts: Family<TargetResultLabels, Counter>,
    /// `tollgate_target_cooled_down`: 1 while the target is left out.
    pub cooled_down: Family<ModelLabels, Gauge>,
}

impl TargetMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let targets =
            Self { attempts: Family::new(TARGET_SERIES_MAX * RESULTS), cooled_down: Family::new(TARGET_SERIES_MAX) };
        registry.register(
            "tollgate_target_attempts",
            "Attempts at targets of models that may have several, by result",
            targets.attempts.clone(),
        );
        registry.register(
            "tollgate_target_cooled_down",
            "1 while a target of a model is left out after failures",
            targets.cooled_down.clone(),
        );
        targets
    }
}
