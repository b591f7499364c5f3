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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_rows_are_their_set_or_other() {
        let text =
            |set, labels: Option<&str>| RecordedLabels::of_stored(set, labels.map(str::to_owned)).as_str().to_owned();
        assert_eq!(text(Some(7), Some("team=payments")), "team=payments");
        assert_eq!(text(None, None), "", "older rows have no labels");
        assert_eq!(text(Some(OTHER), None), "other");
    }
}
