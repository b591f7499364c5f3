//! The usage of one attempt: tokens in disjoint classes, or a quantity of another unit.

pub(crate) mod usage_columns;

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
pub struct BilledQuantity {
    /// The unit that is counted.
    pub unit: Unit,
    /// The number of units.
    pub quantity: u64,
}

macro_rules! usage {
    (
        []
        tokens { $($(#[$doc:meta])* $class:ident $column:literal $total:ident,)+ }
        tools { $($(#[$tool_doc:meta])* $tool:ident $tool_column:literal,)+ }
    ) => {
        /// The classes of tokens, in the order of [`Usage::classes`].
        pub const TOKEN_CLASSES: [TokenClass; TOKEN_CLASS_COUNT] =
            [$(TokenClass { column: $column, total: TokenTotal::$total }),+];
        /// Number of classes of tokens.
        pub const TOKEN_CLASS_COUNT: usize = [$($column),+].len();
        /// The names of [`TOKEN_CLASSES`] in the API.
        pub const CLASSES: [&str; TOKEN_CLASS_COUNT] = [$(stringify!($class)),+];
        /// The names of [`ToolCalls::counts`] in the API and the store, in the same order.
        pub const TOOL_CALLS: [&str; TOOL_CALL_COUNT] = [$($tool_column),+];
        /// Number of kinds of tool calls.
        pub const TOOL_CALL_COUNT: usize = [$($tool_column),+].len();

        /// Calls of tools that the provider runs and bills in addition to tokens. `None` is unknown; if the provider
        /// reports other calls, it means that the tool was not used.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct ToolCalls {
            $($(#[$tool_doc])* pub $tool: Option<u64>,)+
        }

        impl ToolCalls {
            /// Returns the counts in the order of the fields.
            #[must_use]
            pub const fn counts(&self) -> [Option<u64>; TOOL_CALL_COUNT] {
                [$(self.$tool),+]
            }

            /// Returns the calls from counts in the order of the fields.
            #[must_use]
            pub const fn of_counts([$($tool),+]: [Option<u64>; TOOL_CALL_COUNT]) -> Self {
                Self { $($tool),+ }
            }
        }

        /// Tokens by class. The classes are disjoint and their sum is the total. `None` is unknown, `Some(0)` a known
        /// zero.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Usage {
            /// The source of the figures.
            pub source: Source,
            $($(#[$doc])* pub $class: Option<Tokens>,)+
            /// The billed quantity, if the provider reports no classes.
            pub billed: Option<BilledQuantity>,
            /// The tool calls that are billed in addition to tokens.
            pub tools: ToolCalls,
        }

        impl Usage {
            /// Returns usage with these classes, in the order of [`TOKEN_CLASSES`], and nothing else.
            #[must_use]
            pub const fn of_classes(source: Source, [$($class),+]: [Option<Tokens>; TOKEN_CLASS_COUNT]) -> Self {
                Self { source, $($class,)+ billed: None, tools: ToolCalls::of_counts([None; TOOL_CALL_COUNT]) }
            }

            /// Returns the classes in the order of [`TOKEN_CLASSES`].
            #[must_use]
            pub const fn classes(&self) -> [Option<Tokens>; TOKEN_CLASS_COUNT] {
                [$(self.$class),+]
            }
        }
    };
}
crate::usage_columns!(usage);

/// A class of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenClass {
    /// The column in the tables of requests and attempts.
    pub column: &'static str,
    /// The total that contains the class.
    pub total: TokenTotal,
}

/// A total of tokens over one or more classes, as daily totals and the API show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenTotal {
    /// Input that was neither read from nor written to a cache.
    Input,
    /// Input read from a cache.
    CachedInput,
    /// Input written to a cache with the short lifetime.
    CacheWriteShort,
    /// Input written to a cache with the long lifetime.
    CacheWriteLong,
    /// Output, but not its reasoning.
    Output,
    /// Reasoning that is reported separately.
    Reasoning,
}

impl TokenTotal {
    /// All totals, in the order of [`Usage::summary_classes`].
    pub const ALL: [Self; 6] =
        [Self::Input, Self::CachedInput, Self::CacheWriteShort, Self::CacheWriteLong, Self::Output, Self::Reasoning];

    /// Returns whether the total is a part of the input.
    #[must_use]
    pub const fn is_input(self) -> bool {
        match self {
            Self::Input | Self::CachedInput | Self::CacheWriteShort | Self::CacheWriteLong => true,
            Self::Output | Self::Reasoning => false,
        }
    }
}

impl ToolCalls {
    /// Returns whether no call is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts().iter().all(|count| count.is_none_or(|count| count == 0))
    }

    /// Returns the sum of these calls and `other`.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let ours = self.counts();
        let theirs = other.counts();
        let mut both = ours.into_iter().zip(theirs).map(|calls| match calls {
            (Some(ours), Some(theirs)) => Some(ours.saturating_add(theirs)),
            (ours, theirs) => ours.or(theirs),
        });
        Self::of_counts(std::array::from_fn(|_| both.next().flatten()))
    }
}

impl Usage {
    /// Returns usage without any known figure.
    #[must_use]
    pub const fn empty(source: Source) -> Self {
        Self::of_classes(source, [None; TOKEN_CLASS_COUNT])
    }

    /// Returns the sum of the classes in each total, in the order of [`TokenTotal::ALL`].
    #[must_use]
    pub fn summary_classes(&self) -> [Option<Tokens>; 6] {
        let mut totals = [None; 6];
        for (tokens, class) in self.classes().into_iter().zip(&TOKEN_CLASSES) {
            // Most classes are unknown. The position of a total in `ALL` is its number.
            if tokens.is_some()
                && let Some(total) = totals.get_mut(class.total as usize)
            {
                *total = sum([*total, tokens]);
            }
        }
        totals
    }

    /// Returns all input, including cached input and cache writes; `None` if no class is known.
    #[must_use]
    pub fn all_input(&self) -> Option<Tokens> {
        self.sum_of(TokenTotal::is_input)
    }

    /// Returns all output, including reasoning; `None` if no class is known.
    #[must_use]
    pub fn all_output(&self) -> Option<Tokens> {
        self.sum_of(|total| !total.is_input())
    }

    fn sum_of(&self, is_part: impl Fn(TokenTotal) -> bool) -> Option<Tokens> {
        let parts = self.classes().into_iter().zip(&TOKEN_CLASSES);
        sum(parts.filter(|(_, class)| is_part(class.total)).map(|(tokens, _)| tokens))
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
                Some(BilledQuantity { quantity: a.quantity.saturating_add(b.quantity), ..a })
            }
            (a, b) => a.or(b),
        };
        let mut both = self.classes().into_iter().zip(other.classes()).map(|(ours, theirs)| sum([ours, theirs]));
        let classes = std::array::from_fn(|_| both.next().flatten());
        let tools = self.tools.and(&other.tools);
        Self { billed, tools, ..Self::of_classes(self.source.max(other.source), classes) }
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
    fn the_position_of_a_total_is_its_number() {
        assert!(TokenTotal::ALL.into_iter().enumerate().all(|(number, total)| total as usize == number));
    }

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
            |unit, quantity| Usage { billed: Some(BilledQuantity { unit, quantity }), ..Usage::empty(Source::Counted) };
        let both =
            USAGE.and(&Usage { input: Some(Tokens(u64::MAX)), output: Some(Tokens(0)), ..billed(Unit::Image, 2) });
        let classes = [Some(u64::MAX), Some(2), None, None, Some(0), None, Some(4), None, None, Some(8)];
        assert_eq!((both.classes(), both.source), (classes.map(|class| class.map(Tokens)), Source::Counted));
        let images = both.and(&billed(Unit::Image, 3)).and(&billed(Unit::Character, 9)).billed;
        assert_eq!(images, Some(BilledQuantity { unit: Unit::Image, quantity: 5 }));
    }

    #[test]
    fn sum_of_two_usages_has_the_tool_calls_of_both() {
        let of = |tools| Usage { tools, ..Usage::empty(Source::Reported) };
        let first = ToolCalls { searches: Some(2), containers: Some(1), ..ToolCalls::default() };
        let second = ToolCalls { searches: Some(3), file_searches: Some(4), ..ToolCalls::default() };
        let both = of(first).and(&of(second)).tools;
        assert_eq!(both.counts(), [Some(5), None, None, Some(1), Some(4)]);
        assert!(!both.is_empty() && ToolCalls { searches: Some(0), ..ToolCalls::default() }.is_empty());
    }
}
