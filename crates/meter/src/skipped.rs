//! The targets of a model that an LLM call skipped, and why.

use std::sync::Arc;

/// Maximum number of skipped targets that a request records.
pub const SKIPPED_TARGETS_MAX: usize = 32;

/// A target of a model to which a call was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedTarget {
    /// The name of the provider.
    pub provider: Arc<str>,
    /// The model's name as the provider knows it.
    pub model: Arc<str>,
    /// Why the target was skipped.
    pub reason: SkipReason,
    /// The number of recorded attempts that precede it.
    pub attempts_before: u8,
}

/// Why a call was not sent to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// A reason that only a later release knows.
    Other,
    /// The provider does not support the format of the call.
    Format,
    /// The client has no credential for the provider.
    Credential,
    /// The target is left out for a time after failures.
    Cooldown,
    /// The circuit breaker of the provider is open.
    Breaker,
    /// A budget needs a price or a bound that is unknown.
    Price,
    /// No connection to the provider could be opened.
    Connect,
    /// The target has reached one of its configured limits.
    Limit,
}

impl SkipReason {
    /// All reasons in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Other,
        Self::Format,
        Self::Credential,
        Self::Cooldown,
        Self::Breaker,
        Self::Price,
        Self::Connect,
        Self::Limit,
    ];

    /// Returns the number in records, which never changes.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Other => 0,
            Self::Format => 1,
            Self::Credential => 2,
            Self::Cooldown => 3,
            Self::Breaker => 4,
            Self::Price => 5,
            Self::Connect => 6,
            Self::Limit => 7,
        }
    }

    /// Returns the reason with this number.
    #[must_use]
    pub fn of_number(number: u8) -> Self {
        Self::ALL.into_iter().find(|reason| reason.number() == number).unwrap_or(Self::Other)
    }

    /// Returns the word in the store and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Format => "format",
            Self::Credential => "credential",
            Self::Cooldown => "cooldown",
            Self::Breaker => "breaker",
            Self::Price => "price",
            Self::Connect => "connect",
            Self::Limit => "limit",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list is written out here, so that a new order of the variants does not change the expected numbers.
    #[test]
    fn numbers_of_reasons_are_frozen_and_unknown_ones_are_other() {
        use SkipReason::{Breaker, Connect, Cooldown, Credential, Format, Limit, Other, Price};
        for (number, reason) in (0..).zip([Other, Format, Credential, Cooldown, Breaker, Price, Connect, Limit]) {
            assert_eq!((reason.number(), SkipReason::of_number(number)), (number, reason));
        }
        assert_eq!([8, 255].map(SkipReason::of_number), [Other, Other]);
    }

    #[test]
    fn words_of_reasons_are_frozen() {
        let words = ["other", "format", "credential", "cooldown", "breaker", "price", "connect", "limit"];
        assert_eq!(SkipReason::ALL.map(SkipReason::as_str), words);
    }
}
