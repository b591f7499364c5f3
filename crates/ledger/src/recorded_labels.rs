//! The labels of recorded requests, which name a set by its number.

use access::LabelSet;

/// The number of the sets beyond the maximum number of sets.
const OTHER: i64 = -1;

/// The labels that a request was made under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedLabels {
    /// The set of labels, which is empty without labels.
    Set(LabelSet),
    /// A set beyond the maximum number of sets: its labels are not stored.
    Other,
}

impl RecordedLabels {
    /// Returns the labels of a row: the number of its set, which older rows lack, and the text of the set.
    pub(crate) fn of_stored(set: Option<i64>, labels: Option<String>) -> Self {
        match (set, labels) {
            (Some(OTHER), _) => Self::Other,
            (_, labels) => Self::Set(labels.map(|text| LabelSet::of_text(&text)).unwrap_or_default()),
        }
    }

    /// Returns the text of the set; `other` if it is not stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Set(labels) => labels.as_str(),
            Self::Other => "other",
        }
    }
}
