//! The targets of a model: the order in which they are tried, and the failures after which the next one is.

use std::time::Duration;

use access::Tokens;
use settings::field::default;
use settings::form::{DurationForm, Whole};
use settings::input::Input;
use settings::section;

/// Maximum number of targets of one model.
pub const TARGETS_MAX: usize = 32;

/// The rules of the targets of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FallbackRules {
    /// The choice of the first target. Default `fallback`.
    pub strategy: TargetStrategy,
    /// Maximum number of attempts after the first one. Default 3 with several targets, otherwise 0.
    pub attempts: u32,
    /// The time from the first attempt in which a further one may begin. Default 60 s.
    pub within: Duration,
    /// The longest pause before a target is tried again; another target is tried without one. Default 250 ms.
    pub backoff: Duration,
    /// The longest pause before any attempt. Default 5 s.
    pub backoff_max: Duration,
    /// The failures after which there is another attempt.
    pub causes: Box<[FallbackCause]>,
    /// When a target is left out.
    pub cooldown: CooldownRules,
    /// The time for which a session stays on its target after a call. Default 1 h; `None` means not at all.
    pub sticky: Option<Duration>,
    /// Maximum time from the head of a response to its first content. Default `ai.timeouts.first_content`.
    pub first_content: Option<Duration>,
}

/// The choice of the first target of a call. The others follow in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetStrategy {
    /// The first one of the file.
    #[default]
    Fallback,
    /// A random one, by weight.
    Weighted,
    /// The one with the lowest price of the call's maximum.
    Cheapest,
    /// The one with the lowest mean time to the first content.
    Fastest,
}

impl TargetStrategy {
    /// The words of the configuration.
    pub(crate) const WORDS: [(&'static str, Self); 4] = [
        ("fallback", Self::Fallback),
        ("weighted", Self::Weighted),
        ("cheapest", Self::Cheapest),
        ("fastest", Self::Fastest),
    ];

    /// Returns the word of the strategy in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::WORDS.iter().find(|(_, strategy)| *strategy == self).map_or("fallback", |(word, _)| word)
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

section! {
    /// When a target is left out for a time.
    CooldownInput => #[derive(Copy, PartialEq, Eq)] pub CooldownRules {
        /// Consecutive failures that leave a target out.
        failures: Input<u32> = default(Whole::<u32>::new(1, 1_000_000), || 3);
        /// How long, multiplied by the number of times in a row.
        time: Input<Duration> = default(DurationForm::new(Duration::from_secs(1), HOUR), || Duration::from_secs(30));
        /// The longest such time; without it, also `time` if that is longer.
        max: Input<Duration> = default(DurationForm::new(Duration::from_secs(1), HOUR.saturating_mul(24)), || Duration::from_secs(30));
    }
}

/// The own limits of a target. A call leaves the target out once a limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TargetLimits {
    /// Maximum number of calls in a minute. Default no limit.
    pub requests: Option<u32>,
    /// The tokens of a minute after which the target gets no further call in that minute. Default no limit.
    pub tokens: Option<Tokens>,
    /// Maximum number of calls in flight. Default no limit.
    pub concurrent: Option<u32>,
}

/// One of the limits of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetLimit {
    /// The calls in a minute.
    Requests,
    /// The tokens in a minute.
    Tokens,
    /// The calls in flight.
    Concurrent,
}

impl TargetLimit {
    /// Returns the key of the limit in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrent => "concurrent",
        }
    }
}

/// A failure of an attempt after which there may be another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallbackCause {
    /// There was no connection in time, or the circuit breaker of the provider is open.
    Connect,
    /// The response broke, or its protocol was violated, before its first content.
    Reset,
    /// The head of the response or its first content did not arrive in time.
    Timeout,
    /// Every status from 500 to 599, and an error event before the first content.
    ServerErrors,
    /// A response with this status.
    Status(u16),
    /// The account at the provider has no money or quota left.
    Quota,
    /// The provider refused the credential.
    Credential,
    /// The provider does not know the model.
    NotFound,
    /// The call is too long for the model's context window.
    Context,
}

impl FallbackCause {
    /// The words of the configuration and of metrics.
    pub(crate) const WORDS: [(&'static str, Self); 8] = [
        ("connect", Self::Connect),
        ("reset", Self::Reset),
        ("timeout", Self::Timeout),
        ("5xx", Self::ServerErrors),
        ("quota", Self::Quota),
        ("credential", Self::Credential),
        ("not_found", Self::NotFound),
        ("context", Self::Context),
    ];

    /// The causes of an absent list.
    pub const DEFAULT: [Self; 9] = [
        Self::Connect,
        Self::Reset,
        Self::Timeout,
        Self::Status(408),
        Self::Status(429),
        Self::ServerErrors,
        Self::Quota,
        Self::Credential,
        Self::NotFound,
    ];

    /// Returns the word of the cause; `status` for one status.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, cause)| *cause == self).map_or("status", |(word, _)| word)
    }
}

impl FallbackRules {
    /// Whether there may be another attempt after a failure with this cause, which a response with `status` has shown.
    #[must_use]
    pub fn includes(&self, cause: FallbackCause, status: Option<u16>) -> bool {
        self.causes.iter().any(|listed| match (listed, status) {
            (FallbackCause::Status(of), Some(status)) => *of == status,
            (FallbackCause::ServerErrors, Some(500..=599)) => true,
            (listed, _) => *listed == cause,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_listed_by_its_word_or_by_its_status() {
        let rules = |causes: &[FallbackCause]| FallbackRules {
            strategy: TargetStrategy::Fallback,
            attempts: 3,
            within: Duration::from_secs(60),
            backoff: Duration::ZERO,
            backoff_max: Duration::ZERO,
            causes: causes.into(),
            cooldown: CooldownRules { failures: 1, time: Duration::ZERO, max: Duration::ZERO },
            sticky: None,
            first_content: None,
        };
        let default = rules(&FallbackCause::DEFAULT);
        for (cause, status, expected) in [
            (FallbackCause::Connect, None, true),
            (FallbackCause::Timeout, None, true),
            (FallbackCause::Status(503), Some(503), true),
            (FallbackCause::Status(529), Some(529), true),
            (FallbackCause::Status(429), Some(429), true),
            (FallbackCause::Status(418), Some(418), false),
            (FallbackCause::Quota, Some(400), true),
            (FallbackCause::Context, Some(400), false),
        ] {
            assert_eq!(default.includes(cause, status), expected, "{cause:?} {status:?}");
        }
        assert!(rules(&[FallbackCause::Status(503)]).includes(FallbackCause::Status(503), Some(503)));
        assert!(!rules(&[FallbackCause::Status(503)]).includes(FallbackCause::Status(500), Some(500)));
        assert!(rules(&[FallbackCause::Context]).includes(FallbackCause::Context, Some(400)));
    }
}
