//! The column of a user's or a key's labels.

use access::LabelSet;

/// Returns the labels of a column, which is NULL without labels.
pub(crate) fn stored_labels(text: Option<&str>) -> LabelSet {
    text.map(LabelSet::of_text).unwrap_or_default()
}

/// Returns the value of the column for labels.
pub(crate) fn labels_column(labels: &LabelSet) -> Option<String> {
    Some(labels.as_str()).filter(|text| !text.is_empty()).map(str::to_owned)
}
