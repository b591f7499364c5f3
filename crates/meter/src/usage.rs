//! What one attempt used: tokens in disjoint classes, or a quantity where there are no tokens.

use serde::{Deserialize, Serialize};

/// Where figures come from; the truest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// The provider said so.
    Reported,
    /// Counted by us after the answer.
    Counted,
    /// The most that it can have been.
    Bounded,
}

impl Source {
    /// Every source, the truest first.
    pub const ALL: [Self; 3] = [Self::Reported, Self::Counted, Self::Bounded];

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

/// What is sold by another unit than tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// An image made.
    Image,
    /// A millisecond of audio heard.
    Millisecond,
    /// A character (a Unicode scalar value) spoken.
    Character,
    /// A search of the web by the provider, sold beside the tokens.
    Search,
}

impl Unit {
    /// Every unit.
    pub const ALL: [Self; 4] = [Self::Image, Self::Millisecond, Self::Character, Self::Search];

    /// The word in the store and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Millisecond => "millisecond",
            Self::Character => "character",
            Self::Search => "search",
        }
    }

    /// Whether it costs beside the tokens, not in place of them.
    #[must_use]
    pub const fn is_beside_tokens(self) -> bool {
        matches!(self, Self::Search)
    }
}

/// So many of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Billed {
    /// What is counted.
    pub unit: Unit,
    /// How many.
    pub quantity: u64,
}

/// The words of [`Usage::classes`] in the API, in their order.
pub const CLASSES: [&str; 10] = [
    "input",
    "cached_input",
    "cache_write_short",
    "cache_write_long",
    "output",
    "reasoning",
    "audio_input",
    "image_input",
    "audio_output",
    "image_output",
];

/// Tokens by class. The classes are disjoint, their sum is the total; `None` is not known, `Some(0)` a true zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Where the figures come from.
    pub source: Source,
    /// Text that was neither read from nor written to a cache, and what the provider does not tell apart from it.
    pub input: Option<u64>,
    /// Input read from the provider's cache.
    pub cached_input: Option<u64>,
    /// Input written to a cache of the short lifetime (5 or 30 minutes).
    pub cache_write_short: Option<u64>,
    /// Input written to a cache of the long lifetime (1 or 12 hours).
    pub cache_write_long: Option<u64>,
    /// Text, without reasoning, and what the provider does not tell apart from it.
    pub output: Option<u64>,
    /// Reasoning that the provider tells apart from other output.
    pub reasoning: Option<u64>,
    /// Audio that no cache had.
    pub audio_input: Option<u64>,
    /// Images that no cache had.
    pub image_input: Option<u64>,
    /// Audio made.
    pub audio_output: Option<u64>,
    /// Images made.
    pub image_output: Option<u64>,
    /// What is billed where no class is told, and what is billed beside the tokens.
    pub billed: Option<Billed>,
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
            audio_input: None,
            image_input: None,
            audio_output: None,
            image_output: None,
            billed: None,
        }
    }

    /// The classes in the order of the fields.
    #[must_use]
    pub const fn classes(&self) -> [Option<u64>; 10] {
        [
            self.input,
            self.cached_input,
            self.cache_write_short,
            self.cache_write_long,
            self.output,
            self.reasoning,
            self.audio_input,
            self.image_input,
            self.audio_output,
            self.image_output,
        ]
    }

    /// The first six classes, as the store and the API show them: audio and images stand within `input` and `output`.
    #[must_use]
    pub fn folded(&self) -> [Option<u64>; 6] {
        let input = sum([self.input, self.audio_input, self.image_input]);
        let output = sum([self.output, self.audio_output, self.image_output]);
        [input, self.cached_input, self.cache_write_short, self.cache_write_long, output, self.reasoning]
    }

    /// All input, cached and written to caches included; `None` where none is known.
    #[must_use]
    pub fn all_input(&self) -> Option<u64> {
        let caches = [self.cached_input, self.cache_write_short, self.cache_write_long];
        sum([self.input, self.audio_input, self.image_input].into_iter().chain(caches))
    }

    /// Whether any class is told.
    #[must_use]
    pub fn has_tokens(&self) -> bool {
        self.classes().iter().any(Option::is_some)
    }

    /// The sum of what is known.
    #[must_use]
    pub fn total(&self) -> u64 {
        sum(self.classes()).unwrap_or(0)
    }

    /// This and `other` together, as true as the less true of them. Of two units the first one's quantity stands.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let billed = match (self.billed, other.billed) {
            (Some(a), Some(b)) if a.unit == b.unit => {
                Some(Billed { quantity: a.quantity.saturating_add(b.quantity), ..a })
            }
            (a, b) => a.or(b),
        };
        Self {
            source: self.source.max(other.source),
            input: sum([self.input, other.input]),
            cached_input: sum([self.cached_input, other.cached_input]),
            cache_write_short: sum([self.cache_write_short, other.cache_write_short]),
            cache_write_long: sum([self.cache_write_long, other.cache_write_long]),
            output: sum([self.output, other.output]),
            reasoning: sum([self.reasoning, other.reasoning]),
            audio_input: sum([self.audio_input, other.audio_input]),
            image_input: sum([self.image_input, other.image_input]),
            audio_output: sum([self.audio_output, other.audio_output]),
            image_output: sum([self.image_output, other.image_output]),
            billed,
        }
    }
}

/// What is known together; `None` where nothing is.
fn sum(parts: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
    parts.into_iter().flatten().reduce(u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: Usage = Usage {
        input: Some(1),
        cached_input: Some(2),
        audio_input: Some(4),
        image_output: Some(8),
        ..Usage::empty(Source::Reported)
    };

    #[test]
    fn audio_and_images_stand_within_input_and_output() {
        assert_eq!(USAGE.folded(), [Some(5), Some(2), None, None, Some(8), None]);
        assert_eq!((USAGE.all_input(), USAGE.total(), USAGE.has_tokens()), (Some(7), 15, true));
        let empty = Usage::empty(Source::Counted);
        assert_eq!((empty.folded(), empty.all_input(), empty.total(), empty.has_tokens()), ([None; 6], None, 0, false));
    }

    #[test]
    fn two_together_have_the_sum_of_each_class() {
        let billed =
            |unit, quantity| Usage { billed: Some(Billed { unit, quantity }), ..Usage::empty(Source::Counted) };
        let both = USAGE.and(&Usage { input: Some(u64::MAX), output: Some(0), ..billed(Unit::Image, 2) });
        let classes = [Some(u64::MAX), Some(2), None, None, Some(0), None, Some(4), None, None, Some(8)];
        assert_eq!((both.classes(), both.source), (classes, Source::Counted));
        let images = both.and(&billed(Unit::Image, 3)).and(&billed(Unit::Character, 9)).billed;
        assert_eq!(images, Some(Billed { unit: Unit::Image, quantity: 5 }));
    }
}
