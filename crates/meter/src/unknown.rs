//! Why the cost of an attempt is not known.

use serde::{Deserialize, Serialize};

/// Why the cost of an attempt is not known. An unknown cost is never zero: bills leave it out, and budgets count what was
/// reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum UnknownCost {
    /// The provider reported no usage.
    NoUsage,
    /// A figure of the usage is no count.
    UnreadableUsage,
    /// A tool of the provider has a fee, and the answer does not report how much was used.
    UnpricedTool,
    /// The answer was served at a tier or a place, or contains something, whose rates are not known.
    UnknownTerms,
    /// The model has no price.
    NoPrice,
    /// The price has no rate for something that was used.
    NoRate,
}

impl UnknownCost {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::NoUsage, Self::UnreadableUsage, Self::UnpricedTool, Self::UnknownTerms, Self::NoPrice, Self::NoRate];

    /// The word in the store and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoUsage => "no_usage",
            Self::UnreadableUsage => "unreadable_usage",
            Self::UnpricedTool => "unpriced_tool",
            Self::UnknownTerms => "unknown_terms",
            Self::NoPrice => "no_price",
            Self::NoRate => "no_rate",
        }
    }
}
