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
}

impl Unit {
    /// Every unit.
    pub const ALL: [Self; 3] = [Self::Image, Self::Millisecond, Self::Character];

    /// The word in the store and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Millisecond => "millisecond",
            Self::Character => "character",
        }
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

/// Calls of tools that a provider runs itself and sells beside the tokens. `None` is not known, and not used where the
/// provider reports the other calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCalls {
    /// Searches of the web; for Gemini the distinct queries.
    pub searches: Option<u64>,
    /// Prompts that Google Maps grounded.
    pub maps_prompts: Option<u64>,
    /// Queries to Google Maps; `None` where the answer lists none.
    pub maps_queries: Option<u64>,
    /// Containers of a code interpreter, in gigabytes of memory.
    pub containers: Option<u64>,
    /// Searches of stored files.
    pub file_searches: Option<u64>,
}

/// The words of [`ToolCalls::counts`] in the API, in their order.
pub const TOOL_CALLS: [&str; 5] = ["searches", "maps_prompts", "maps_queries", "containers", "file_searches"];

impl ToolCalls {
    /// The counts in the order of the fields.
    #[must_use]
    pub const fn counts(&self) -> [Option<u64>; 5] {
        [self.searches, self.maps_prompts, self.maps_queries, self.containers, self.file_searches]
    }

    /// The calls whose counts are in the order of the fields.
    #[must_use]
    pub const fn of_counts(
        [searches, maps_prompts, maps_queries, containers, file_searches]: [Option<u64>; 5],
    ) -> Self {
        Self { searches, maps_prompts, maps_queries, containers, file_searches }
    }

    /// Whether no call is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts().iter().all(|count| count.is_none_or(|count| count == 0))
    }

    /// These calls and `other` together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let (ours, theirs) = (self.counts(), other.counts());
        let mut both = ours.into_iter().zip(theirs).map(|(ours, theirs)| sum([ours, theirs]));
        Self::of_counts(std::array::from_fn(|_| both.next().flatten()))
    }
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
    /// What is billed where no class is told.
    pub billed: Option<Billed>,
    /// What is billed beside the tokens.
    pub tools: ToolCalls,
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
            tools: ToolCalls::of_counts([None; 5]),
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
    pub fn summary_classes(&self) -> [Option<u64>; 6] {
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
            tools: self.tools.and(&other.tools),
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
    fn summary_classes_include_audio_and_images() {
        assert_eq!(USAGE.summary_classes(), [Some(5), Some(2), None, None, Some(8), None]);
        assert_eq!((USAGE.all_input(), USAGE.total(), USAGE.has_tokens()), (Some(7), 15, true));
        let empty = Usage::empty(Source::Counted);
        assert_eq!(
            (empty.summary_classes(), empty.all_input(), empty.total(), empty.has_tokens()),
            ([None; 6], None, 0, false)
        );
    }

    #[test]
    fn sum_of_two_usages_has_the_sum_of_each_class() {
        let billed =
            |unit, quantity| Usage { billed: Some(Billed { unit, quantity }), ..Usage::empty(Source::Counted) };
        let both = USAGE.and(&Usage { input: Some(u64::MAX), output: Some(0), ..billed(Unit::Image, 2) });
        let classes = [Some(u64::MAX), Some(2), None, None, Some(0), None, Some(4), None, None, Some(8)];
        assert_eq!((both.classes(), both.source), (classes, Source::Counted));
        let images = both.and(&billed(Unit::Image, 3)).and(&billed(Unit::Character, 9)).billed;
        assert_eq!(images, Some(Billed { unit: Unit::Image, quantity: 5 }));
    }

    #[test]
    fn sum_of_two_usages_has_the_tool_calls_of_both() {
        let of = |tools| Usage { tools, ..Usage::empty(Source::Reported) };
        let first = ToolCalls { searches: Some(2), containers: Some(1), ..ToolCalls::default() };
        let second = ToolCalls { searches: Some(3), file_searches: Some(4), ..ToolCalls::default() };
        let both = of(first).and(&of(second)).tools;
        assert_eq!(both.counts(), [Some(5), None, None, Some(1), Some(4)]);
        assert!(!both.is_empty() && ToolCalls { searches: Some(0), ..ToolCalls::default() }.is_empty());
        assert_eq!(TOOL_CALLS.len(), both.counts().len());
    }
}
