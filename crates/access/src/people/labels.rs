//! The labels of a request, such as `team=payments`: those of its key, its user and its route, as one sorted text.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Maximum number of labels of one key, user or route, and of a set that several of them make.
pub const LABELS_MAX: usize = 8;
/// Longest name of a label, in bytes.
pub const LABEL_NAME_BYTES_MAX: usize = 32;
/// Longest value of a label, in bytes.
pub const LABEL_VALUE_BYTES_MAX: usize = 64;
/// Longest text of a set, in bytes.
pub const LABELS_BYTES_MAX: usize = LABELS_MAX * (LABEL_NAME_BYTES_MAX + LABEL_VALUE_BYTES_MAX + 2) - 1;

/// Labels as `NAME=VALUE,NAME=VALUE`, in the order of their names and each name once. A clone shares the text.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelSet(Option<Arc<str>>);

/// The id of a label, made of its name and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelId(pub Uuid);

impl LabelId {
    /// Returns the id of a label as `NAME=VALUE`.
    #[must_use]
    pub fn from_label(label: &str) -> Self {
        let digest = Sha256::new().chain_update(b"label\0").chain_update(label).finalize();
        Self(digest.first_chunk().map_or(Uuid::nil(), |id| Uuid::from_bytes(*id)))
    }
}

/// Labels that cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// There are more than [`LABELS_MAX`] labels.
    #[error("at most {LABELS_MAX} labels are allowed")]
    TooMany,
    /// The name is not `[a-z][a-z0-9_]{0,31}`.
    #[error("the name of a label must match `[a-z][a-z0-9_]{{0,31}}`")]
    Name,
    /// The value is not 1 to 64 of `A-Z a-z 0-9 . _ -`.
    #[error("the value of the label `{name}` must have 1 to 64 of `A-Z a-z 0-9 . _ -`")]
    Value {
        /// The name of the label.
        name: String,
    },
    /// A name occurs twice.
    #[error("the label `{name}` occurs twice")]
    Repeated {
        /// The name of the label.
        name: String,
    },
}

impl LabelSet {
    /// The set without labels.
    pub const NONE: Self = Self(None);

    /// Returns the labels of a key or a user.
    ///
    /// # Errors
    /// [`LabelError`] for too many labels, and for a name or a value that is not allowed.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, LabelError> {
        let mut pairs: Vec<(&str, &str)> = pairs.into_iter().take(LABELS_MAX + 1).collect();
        if pairs.len() > LABELS_MAX {
            return Err(LabelError::TooMany);
        }
        for (name, value) in &pairs {
            if !is_label_name(name) {
                return Err(LabelError::Name);
            }
            if !is_label_value(value) {
                return Err(LabelError::Value { name: (*name).to_owned() });
            }
        }
        pairs.sort_unstable();
        for pair in pairs.windows(2) {
            if let [(one, _), (other, _)] = pair
                && one == other
            {
                return Err(LabelError::Repeated { name: (*one).to_owned() });
            }
        }
        Ok(Self::of_sorted(&pairs))
    }

    /// Returns the set with this text, which this type has written, or the configuration for a route.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        Self(Some(text).filter(|text| !text.is_empty()).map(Arc::from))
    }

    /// Returns the set with this shared text; it is empty without labels.
    #[must_use]
    pub fn of_shared(text: Arc<str>) -> Self {
        Self(Some(text).filter(|text| !text.is_empty()))
    }

    fn of_sorted(pairs: &[(&str, &str)]) -> Self {
        let text: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Self::of_text(&text.join(","))
    }

    /// Whether there is no label.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the text, which is empty without labels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Returns the labels in the order of their names.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.as_str().split(',').filter_map(|pair| pair.split_once('='))
    }

    /// Returns the value of a label.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(of, _)| *of == name).map(|(_, value)| value)
    }

    /// Returns these labels, and those of `base` with other names. Beyond [`LABELS_MAX`] labels, those of `base` are left out.
    #[must_use]
    pub fn over(&self, base: &Self) -> Self {
        if self.is_empty() || self == base {
            return base.clone();
        }
        let mut pairs: Vec<(&str, &str)> = self.pairs().collect();
        let room = LABELS_MAX.saturating_sub(pairs.len());
        let further: Vec<(&str, &str)> =
            base.pairs().filter(|(name, _)| self.value(name).is_none()).take(room).collect();
        if further.is_empty() {
            return self.clone();
        }
        pairs.extend(further);
        pairs.sort_unstable();
        Self::of_sorted(&pairs)
    }

    /// Whether both sets have the same text in memory, which is cheaper to find out than equality.
    #[must_use]
    pub fn shares_text(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}

impl fmt::Debug for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LabelSet({})", self.as_str())
    }
}

/// Whether the text can be that of a set, of a route's labels too.
#[must_use]
pub fn is_label_text(text: &str) -> bool {
    text.len() <= LABELS_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/:-=,".contains(&byte))
}

/// Whether the text is a label's name: `[a-z][a-z0-9_]{0,31}`.
#[must_use]
pub fn is_label_name(name: &str) -> bool {
    (1..=LABEL_NAME_BYTES_MAX).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether the text is a label's value: 1 to 64 of `A-Z a-z 0-9 . _ -`.
#[must_use]
pub fn is_label_value(value: &str) -> bool {
    (1..=LABEL_VALUE_BYTES_MAX).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> LabelSet {
        LabelSet::new(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn labels_are_sorted_and_checked() {
        let labels = set(&[("tier", "gold"), ("team", "payments")]);
        assert_eq!(labels.as_str(), "team=payments,tier=gold");
        assert_eq!((labels.value("tier"), labels.value("t")), (Some("gold"), None));
        assert_eq!(LabelSet::of_text(labels.as_str()), labels);
        assert_eq!(set(&[]), LabelSet::NONE);
        let names: Vec<String> = (0..=LABELS_MAX).map(|nth| format!("l{nth}")).collect();
        for (pairs, error) in [
            (vec![("Team", "a")], LabelError::Name),
            (vec![("", "a")], LabelError::Name),
            (vec![("team", "")], LabelError::Value { name: "team".to_owned() }),
            (vec![("team", "a\nb")], LabelError::Value { name: "team".to_owned() }),
            (vec![("team", "a,b=c")], LabelError::Value { name: "team".to_owned() }),
            (vec![("team", "a"), ("team", "b")], LabelError::Repeated { name: "team".to_owned() }),
            (names.iter().map(|name| (name.as_str(), "a")).collect(), LabelError::TooMany),
        ] {
            assert_eq!(LabelSet::new(pairs), Err(error));
        }
    }

    #[test]
    fn labels_override_those_of_their_base() {
        let key = set(&[("team", "payments")]);
        let user = set(&[("team", "core"), ("cost", "r1")]);
        assert_eq!(key.over(&user).as_str(), "cost=r1,team=payments");
        assert_eq!(LabelSet::NONE.over(&user), user);
        assert_eq!(user.over(&LabelSet::NONE), user);
        let names: Vec<String> = (0..LABELS_MAX).map(|nth| format!("l{nth}")).collect();
        let full = LabelSet::new(names.iter().map(|name| (name.as_str(), "a"))).unwrap();
        assert_eq!(full.over(&user), full);
        assert_eq!(key.over(&full).pairs().count(), LABELS_MAX);
    }

    #[test]
    fn a_copy_shares_its_text_and_an_equal_set_does_not() {
        let labels = set(&[("team", "payments")]);
        let equal = set(&[("team", "payments")]);
        assert!(labels.shares_text(&labels.over(&LabelSet::NONE)) && LabelSet::NONE.shares_text(&set(&[])));
        for (one, other) in [(&labels, &equal), (&labels, &LabelSet::NONE), (&LabelSet::NONE, &labels)] {
            assert!(!one.shares_text(other), "{one:?} {other:?}");
        }
    }
}
