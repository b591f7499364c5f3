//! Reasons why the cost of an attempt is unknown.

/// The reason why the cost of an attempt is unknown. An unknown cost is never zero: bills leave it out, and budgets
/// count the reserved amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnknownCost {
    /// The provider reported no usage.
    NoUsage,
    /// A number in the reported usage is invalid.
    UnreadableUsage,
    /// The provider charges for a tool, and the response does not report its use.
    UnpricedTool,
    /// The response has a service tier, a location or a content whose rates are unknown.
    UnknownTerms,
    /// The model has no price.
    NoPrice,
    /// The price has no rate for a used class or unit.
    NoRate,
}

impl UnknownCost {
    /// All reasons in a fixed order.
    pub const ALL: [Self; 6] =
        [Self::NoUsage, Self::UnreadableUsage, Self::UnpricedTool, Self::UnknownTerms, Self::NoPrice, Self::NoRate];

    /// Returns the name in the store and in the API.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_reasons_are_frozen() {
        let names = ["no_usage", "unreadable_usage", "unpriced_tool", "unknown_terms", "no_price", "no_rate"];
        assert_eq!(UnknownCost::ALL.map(UnknownCost::as_str), names);
    }
}
