//! Metrics per label set with a maximum number of series, and label values that cannot inject lines.
//!
//! prometheus-client 0.24 neither escapes label values nor bounds a family, and clients choose model names. This module
//! does both.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Maximum length of a label value; longer values are cut.
pub const NAME_BYTES_MAX: usize = 128;
/// The label value of all series above a maximum.
pub const OTHER: &str = "other";

/// A label value of at most [`NAME_BYTES_MAX`] bytes, which is escaped when it is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelValue(Arc<str>);

impl LabelValue {
    /// Returns the label value of all series above a maximum.
    #[must_use]
    pub fn other() -> Self {
        Self::from(OTHER)
    }
}

impl From<&str> for LabelValue {
    fn from(text: &str) -> Self {
        Self(Arc::from(text.get(..text.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default()))
    }
}

impl From<Arc<str>> for LabelValue {
    fn from(text: Arc<str>) -> Self {
        if text.len() <= NAME_BYTES_MAX { Self(text) } else { Self::from(&*text) }
    }
}

impl From<&Arc<str>> for LabelValue {
    fn from(text: &Arc<str>) -> Self {
        Self::from(text.clone())
    }
}

impl LabelValue {
    /// Returns the value as it is written.
    pub(super) fn escaped(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, to: &mut impl Write) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => to.write_str("\\\\")?,
                '"' => to.write_str("\\\"")?,
                '\n' => to.write_str("\\n")?,
                other => to.write_char(other)?,
            }
        }
        Ok(())
    }
}

impl EncodeLabelValue for LabelValue {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        self.write(encoder)
    }
}

/// A label set that can be replaced by `other`.
pub trait MetricLabels: EncodeLabelSet + Clone + Ord + fmt::Debug + Send + Sync + 'static {
    /// Returns the labels with [`LabelValue::other`] in place of each unbounded value.
    #[must_use]
    fn overflow(&self) -> Self;
}

/// One metric per label set. Above `series_max`, metrics are counted under [`MetricLabels::overflow`].
#[derive(Debug)]
pub struct Family<L, M> {
    metrics: Arc<RwLock<BTreeMap<L, M>>>,
    series_max: usize,
}

impl<L, M> Clone for Family<L, M> {
    fn clone(&self) -> Self {
        Self { metrics: self.metrics.clone(), series_max: self.series_max }
    }
}

impl<L: MetricLabels, M: Clone + Default> Family<L, M> {
    /// Returns a family of at most `series_max` label sets, overflow series excluded.
    #[must_use]
    pub fn new(series_max: usize) -> Self {
        Self { metrics: Arc::default(), series_max }
    }

    /// Returns the metrics with all labels that `chosen` accepts.
    #[must_use]
    pub fn all(&self, chosen: impl Fn(&L) -> bool) -> Vec<M> {
        let metrics = self.metrics.read().unwrap_or_else(PoisonError::into_inner);
        metrics.iter().filter(|(labels, _)| chosen(labels)).map(|(_, metric)| metric.clone()).collect()
    }

    /// Calls `read` with each metric and its labels, in the order of the labels.
    pub fn for_each(&self, mut read: impl FnMut(&L, &M)) {
        let metrics = self.metrics.read().unwrap_or_else(PoisonError::into_inner);
        metrics.iter().for_each(|(labels, metric)| read(labels, metric));
    }

    /// Returns the metric with these labels. This takes a lock: a worker calls it once and keeps the handle (one
    /// `Arc`).
    #[must_use]
    pub fn get_or_create(&self, labels: &L) -> M {
        if let Some(metric) = self.metrics.read().unwrap_or_else(PoisonError::into_inner).get(labels) {
            return metric.clone();
        }
        let mut metrics = self.metrics.write().unwrap_or_else(PoisonError::into_inner);
        if metrics.len() < self.series_max || metrics.contains_key(labels) {
            return metrics.entry(labels.clone()).or_default().clone();
        }
        metrics.entry(labels.overflow()).or_default().clone()
    }

    /// Removes the metrics whose labels `kept` does not accept, except overflow series, which many label sets share. A
    /// handle to a removed metric is not shown any more.
    pub fn retain(&self, kept: impl Fn(&L) -> bool) {
        let mut metrics = self.metrics.write().unwrap_or_else(PoisonError::into_inner);
        metrics.retain(|labels, _| kept(labels) || *labels == labels.overflow());
    }
}

impl<L: MetricLabels, M: EncodeMetric + TypedMetric> EncodeMetric for Family<L, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        for (labels, metric) in &*self.metrics.read().unwrap_or_else(PoisonError::into_inner) {
            metric.encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.metrics.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

/// Returns the name of a standard method (RFC 9110, 9.3; RFC 5789), and [`OTHER`] for any other method.
#[must_use]
pub fn method(name: &[u8]) -> &'static str {
    const METHODS: [&str; 9] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE"];
    METHODS.into_iter().find(|known| known.as_bytes() == name).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
    struct Model {
        model: LabelValue,
    }

    impl MetricLabels for Model {
        fn overflow(&self) -> Self {
            Self { model: LabelValue::other() }
        }
    }

    fn family(series_max: usize) -> (Family<Model, Counter>, prometheus_client::registry::Registry) {
        let family = Family::new(series_max);
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register("calls", "Calls", family.clone());
        (family, registry)
    }

    fn text(registry: &prometheus_client::registry::Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn series_above_the_maximum_are_counted_as_other() {
        let (family, registry) = family(2);
        for (model, times) in [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("a", 5)] {
            family.get_or_create(&Model { model: model.into() }).inc_by(times);
        }
        let text = text(&registry);
        for line in ["calls_total{model=\"a\"} 6", "calls_total{model=\"b\"} 2", "calls_total{model=\"other\"} 7"] {
            assert!(text.contains(line), "{text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("calls_total")).count(), 3, "{text}");
    }

    #[test]
    fn removed_series_are_not_shown_and_leave_room() {
        let (family, registry) = family(3);
        for model in ["a", "b", "c", "d"] {
            family.get_or_create(&Model { model: model.into() }).inc();
        }
        family.retain(|labels| labels.model == LabelValue::from("b"));
        family.get_or_create(&Model { model: "e".into() }).inc();
        let text = text(&registry);
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("calls_total")).collect();
        let expected = ["calls_total{model=\"b\"} 1", "calls_total{model=\"e\"} 1", "calls_total{model=\"other\"} 1"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_label_value_cannot_inject_a_line() {
        let (family, registry) = family(2);
        family.get_or_create(&Model { model: "a\"} 1\nforged{x=\"\\".into() }).inc();
        let text = text(&registry);
        assert!(text.contains(r#"calls_total{model="a\"} 1\nforged{x=\"\\"} 1"#), "{text}");
        assert!(!text.contains("\nforged"), "{text}");
    }

    #[test]
    fn long_label_values_are_cut_between_characters() {
        let name = LabelValue::from(Arc::<str>::from(format!("x{}", "é".repeat(100))));
        assert_eq!(*name.0, *format!("x{}", "é".repeat(63)));
    }

    #[test]
    fn unknown_methods_are_other() {
        assert_eq!((method(b"PATCH"), method(b"patch"), method(b"BREW")), ("PATCH", "other", "other"));
    }
}
