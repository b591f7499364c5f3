//! The usage of one attempt: tokens in disjoint classes, or a quantity of another unit.

use access::Tokens;

/// The source of usage figures, the most reliable first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The provider reported the figures.
    Reported,
    /// Tollgate counted them in the response.
    Counted,
    /// Tollgate computed the maximum.
    Bounded,
}

impl Source {
    /// All sources, the most reliable first.
    pub const ALL: [Self; 3] = [Self::Reported, Self::Counted, Self::Bounded];

    /// Returns the name in the store and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Counted => "counted",
            Self::Bounded => "bounded",
        }
    }
}

/// A billed unit other than tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// One image that was generated.
    Image,
    /// One millisecond of input audio.
    Millisecond,
    /// One character (Unicode scalar value) of spoken text.
    Character,
}

impl Unit {
    /// All units in a fixed order.
    pub const ALL: [Self; 3] = [Self::Image, Self::Millisecond, Self::Character];

    /// Returns the name in the store and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Millisecond => "millisecond",
            Self::Character => "character",
        }
    }
}

/// A quantity of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Billed {
    /// The unit that is counted.
    pub unit: Unit,
    /// The number of units.
    pub quantity: u64,
}

/// Calls of tools that the provider runs and bills in addition to tokens. `None` is unknown; if the provider reports
/// other calls, it means that the tool was not used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ToolCalls {
    /// Web searches; for Gemini the distinct queries.
    pub searches: Option<u64>,
    /// Prompts that Google Maps grounded.
    pub maps_prompts: Option<u64>,
    /// Queries to Google Maps; `None` if the response lists none.
    pub maps_queries: Option<u64>,
    /// Containers of a code interpreter, in gigabytes of memory.
    pub containers: Option<u64>,
    /// Searches in stored files.
    pub file_searches: Option<u64>,
}

/// The names of [`ToolCalls::counts`] in the API, in the same order.
pub const TOOL_CALLS: [&str; 5] = ["searches", "maps_prompts", "maps_queries", "containers", "file_searches"];

impl ToolCalls {
    /// Returns the counts in the order of the fields.
    #[must_use]
    pub const fn counts(&self) -> [Option<u64>; 5] {
        [self.searches, self.maps_prompts, self.maps_queries, self.containers, self.file_searches]
    }

    /// Returns the calls from counts in the order of the fields.
    #[must_use]
    pub const fn of_counts(
        [searches, maps_prompts, maps_queries, containers, file_searches]: [Option<u64>; 5],
    ) -> Self {
        Self { searches, maps_prompts, maps_queries, containers, file_searches }
    }

    /// Returns whether no call is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts().iter().all(|count| count.is_none_or(|count| count == 0))
    }

    /// Returns the sum of these calls and `other`.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let (ours, theirs) = (self.counts(), other.counts());
        let mut both = ours.into_iter().zip(theirs).map(|calls| match calls {
            (Some(ours), Some(theirs)) => Some(ours.saturating_add(theirs)),
            (ours, theirs) => ours.or(theirs),
        });
        Self::of_counts(std::array::from_fn(|_| both.next().flatten()))
    }
}

/// The names of [`Usage::classes`] in the API, in the same order.
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

/// Tokens by class. The classes are disjoint and their sum is the total. `None` is unknown, `Some(0)` a known zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The source of the figures.
    pub source: Source,
    /// Text that was not read from or written to a cache, and input that the provider does not assign to another class.
    pub input: Option<Tokens>,
    /// Input read from the provider's cache.
    pub cached_input: Option<Tokens>,
    /// Input written to a cache with the short lifetime (5 or 30 minutes).
    pub cache_write_short: Option<Tokens>,
    /// Input written to a cache with the long lifetime (1 or 12 hours).
    pub cache_write_long: Option<Tokens>,
    /// Text without reasoning, and output that the provider does not assign to another class.
    pub output: Option<Tokens>,
    /// Reasoning that the provider reports separately.
    pub reasoning: Option<Tokens>,
    /// Audio input that was not cached.
    pub audio_input: Option<Tokens>,
    /// Image input that was not cached.
    pub image_input: Option<Tokens>,
    /// Tokens of generated audio.
    pub audio_output: Option<Tokens>,
    /// Tokens of generated images.
    pub image_output: Option<Tokens>,
    /// The billed quantity, if the provider reports no classes.
    pub billed: Option<Billed>,
    /// The tool calls that are billed in addition to tokens.
    pub tools: ToolCalls,
}

impl Usage {
    /// Returns usage without any known figure.
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

    /// Returns the classes in the order of the fields.
    #[must_use]
    pub const fn classes(&self) -> [Option<Tokens>; 10] {
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

    /// Returns the six classes that the store and the API show: audio and images are included in `input` and `output`.
    #[must_use]
    pub fn summary_classes(&self) -> [Option<Tokens>; 6] {
        let input = sum([self.input, self.audio_input, self.image_input]);
        let output = sum([self.output, self.audio_output, self.image_output]);
        [input, self.cached_input, self.cache_write_short, self.cache_write_long, output, self.reasoning]
    }

    /// Returns all input, including cached input and cache writes; `None` if no class is known.
    #[must_use]
    pub fn all_input(&self) -> Option<Tokens> {
        let caches = [self.cached_input, self.cache_write_short, self.cache_write_long];
        sum([self.input, self.audio_input, self.image_input].into_iter().chain(caches))
    }

    /// Returns whether any class is known.
    #[must_use]
    pub fn has_tokens(&self) -> bool {
        self.classes().iter().any(Option::is_some)
    }

    /// Returns the sum of the known classes.
    #[must_use]
    pub fn total(&self) -> Tokens {
        sum(self.classes()).unwrap_or_default()
    }

    /// Returns the sum of this usage and `other`, with the less reliable source. Of two different units, the first
    /// one's quantity is kept.
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

/// Returns the sum of the known classes; `None` if no class is known.
fn sum(parts: impl IntoIterator<Item = Option<Tokens>>) -> Option<Tokens> {
    parts.into_iter().flatten().reduce(Tokens::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: Usage = Usage {
        input: Some(Tokens(1)),
        cached_input: Some(Tokens(2)),
        audio_input: Some(Tokens(4)),
        image_output: Some(Tokens(8)),
        ..Usage::empty(Source::Reported)
    };

    #[test]
    fn summary_classes_include_audio_and_images() {
        assert_eq!(USAGE.summary_classes(), [Some(Tokens(5)), Some(Tokens(2)), None, None, Some(Tokens(8)), None]);
        assert_eq!((USAGE.all_input(), USAGE.total(), USAGE.has_tokens()), (Some(Tokens(7)), Tokens(15), true));
        let empty = Usage::empty(Source::Counted);
        assert_eq!(
            (empty.summary_classes(), empty.all_input(), empty.total(), empty.has_tokens()),
            ([None; 6], None, Tokens(0), false)
        );
    }

    #[test]
    fn sum_of_two_usages_has_the_sum_of_each_class() {
        let billed =
            |unit, quantity| Usage { billed: Some(Billed { unit, quantity }), ..Usage::empty(Source::Counted) };
        let both =
            USAGE.and(&Usage { input: Some(Tokens(u64::MAX)), output: Some(Tokens(0)), ..billed(Unit::Image, 2) });
        let classes = [Some(u64::MAX), Some(2), None, None, Some(0), None, Some(4), None, None, Some(8)];
        assert_eq!((both.classes(), both.source), (classes.map(|class| class.map(Tokens)), Source::Counted));
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
