//! The labels of a user or a key in requests and responses.

use std::collections::BTreeMap;

use access::people::labels::is_label_text;
use access::{LabelId, LabelSet, Refusal};

use crate::message::problem::Problem;

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

/// Reads the parameter `label` of a list: one label as `NAME=VALUE`. Those of routes may have other letters.
///
/// # Errors
/// `bad_request` for another form.
pub(crate) fn filter(label: &str) -> Result<LabelId, Problem> {
    let is_pair = label.split_once('=').is_some_and(|(name, value)| !name.is_empty() && !value.is_empty());
    if is_pair && is_label_text(label) && !label.contains(',') {
        return Ok(LabelId::from_label(label));
    }
    Err(Problem::new(Refusal::BadRequest, "`label` must be NAME=VALUE, such as `team=payments`"))
}
