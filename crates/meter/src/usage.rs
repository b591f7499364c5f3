//! Tokens of one attempt, in disjoint classes.

use serde::{Deserialize, Serialize};

/// Where figures come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// The provider said so.
    Reported,
    /// Counted by us after the answer.
    Counted,
    /// The most that it can have been.
    Bounded,
}

impl Source {
    /// The word in the store and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Counted => "counted",
            Self::Bounded => "bounded",
        }
    }
}

/// Tokens by class. The classes are disjoint, their sum is the total; `None` is not known, `Some(0)` a true zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Where the figures come from.
    pub source: Source,
    /// Input that was neither read from nor written to a cache.
    pub input: Option<u64>,
    /// Input read from the provider's cache.
    pub cached_input: Option<u64>,
    /// Input written to a cache of the short lifetime (5 or 30 minutes).
    pub cache_write_short: Option<u64>,
    /// Input written to a cache of the long lifetime (1 or 12 hours).
    pub cache_write_long: Option<u64>,
    /// Output without reasoning.
    pub output: Option<u64>,
    /// Reasoning that the provider tells apart from other output.
    pub reasoning: Option<u64>,
}

impl Usage {
    /// No figure is known yet.
    #[must_use]
    pub const fn empty(source: Source) -> Self {
        Self {
            source,
            input: None,
            cached_input: None,
            cache_write_short: None,
            cache_write_long: None,
            output: None,
            reasoning: None,
        }
    }

    /// The classes in the order of the fields.
    #[must_use]
    pub const fn classes(&self) -> [Option<u64>; 6] {
        [self.input, self.cached_input, self.cache_write_short, self.cache_write_long, self.output, self.reasoning]
    }

    /// The sum of what is known.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.classes().into_iter().flatten().fold(0, u64::saturating_add)
    }
}
