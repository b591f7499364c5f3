//! The removal of stored responses, which the admin API requests and the proxy does.

/// A removal of stored responses, which every node applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachePurge {
    /// The position among the purges of the store: one more than that of the purge before.
    pub number: u64,
    /// The id, which no other store has.
    pub id: [u8; 16],
    /// The responses that the purge concerns.
    pub target: PurgeTarget,
    /// Whether they are marked stale, and not removed.
    pub soft: bool,
}

/// What the responses of a purge have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurgeTarget {
    /// The URL, for every client: `https://api.example.com/catalog?page=2`.
    Url(String),
    /// The beginning of the URL.
    Prefix(String),
    /// A tag that the upstream gave them.
    Tag(String),
    /// Nothing: no response is purged. The first purge of a store is one of these.
    Nothing,
}

impl PurgeTarget {
    /// Returns the target as the store has it: a word and a text.
    #[must_use]
    pub fn stored(&self) -> (&'static str, &str) {
        match self {
            Self::Url(url) => ("url", url),
            Self::Prefix(prefix) => ("prefix", prefix),
            Self::Tag(tag) => ("tag", tag),
            Self::Nothing => ("none", ""),
        }
    }

    /// Returns the target of a word and a text. A word of a later version purges all responses.
    #[must_use]
    pub fn from_word(word: &str, text: String) -> Self {
        match word {
            "url" => Self::Url(text),
            "tag" => Self::Tag(text),
            "none" => Self::Nothing,
            "prefix" => Self::Prefix(text),
            _ => Self::Prefix(String::new()),
        }
    }
}
