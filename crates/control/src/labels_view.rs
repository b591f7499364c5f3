//! The labels of a user or a key in requests and responses.

use std::collections::BTreeMap;

use access::{LabelSet, Refusal};

use crate::problem::Problem;

/// Labels by their names.
pub(crate) type LabelsView = BTreeMap<String, String>;

/// Returns labels as responses show them.
pub(crate) fn view(labels: &LabelSet) -> LabelsView {
    labels.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Returns the labels of a request.
///
/// # Errors
/// `unprocessable`, which names the limit.
pub(crate) fn read(labels: &LabelsView) -> Result<LabelSet, Problem> {
    let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    LabelSet::new(pairs).map_err(|error| Problem::new(Refusal::Unprocessable, format!("`labels`: {error}")))
}
