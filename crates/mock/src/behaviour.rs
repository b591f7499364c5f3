//! What a model's name asks for.

use std::time::Duration;

use crate::fault::Fault;
use crate::server::Options;

const TOKENS_MAX: u32 = 100_000;
const EVERY_MAX_MS: u64 = 10_000;

/// One way to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// As a provider does: `mock`, and every name that is not below.
    Normal,
    /// The first byte comes late.
    Slow,
    /// The answer goes on for minutes.
    Long,
    /// `tokens-N`: N tokens of output, an event each, at once; `tokens-N-MS`: one every MS milliseconds.
    Tokens { count: u32, every: Duration },
    /// `429`: refused, with `Retry-After`.
    RateLimited,
    /// `500`.
    Failed,
    /// `529`.
    Overloaded,
    /// The connection is closed in the middle of the answer.
    Cut,
    /// The answer says nothing of tokens.
    NoUsage,
    /// The answer calls a tool, unless a tool's result was just sent.
    Tool,
    /// The answer is the last user message.
    Echo,
    /// A fixed answer at once, not streamed: for benchmarks.
    Instant,
}

impl Behaviour {
    /// What a name without the provider's prefix asks for. Counts are cut to 100,000 tokens, times to 10 s.
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "slow" => Self::Slow,
            "long" => Self::Long,
            "429" => Self::RateLimited,
            "500" => Self::Failed,
            "529" => Self::Overloaded,
            "cut" => Self::Cut,
            "no-usage" => Self::NoUsage,
            "tool" => Self::Tool,
            "echo" => Self::Echo,
            "instant" => Self::Instant,
            _ => name.strip_prefix("tokens-").and_then(Self::tokens).unwrap_or(Self::Normal),
        }
    }

    /// How the request is refused, if it is.
    pub(crate) const fn fault(self) -> Option<Fault> {
        match self {
            Self::RateLimited => Some(Fault::RateLimited),
            Self::Failed => Some(Fault::Failed),
            Self::Overloaded => Some(Fault::Overloaded),
            Self::Normal
            | Self::Slow
            | Self::Long
            | Self::Tokens { .. }
            | Self::Cut
            | Self::NoUsage
            | Self::Tool
            | Self::Echo
            | Self::Instant => None,
        }
    }

    /// Time between two events of its stream.
    pub(crate) const fn pace(self, options: &Options) -> Duration {
        match self {
            Self::Long => options.long_pace,
            Self::Tokens { every, .. } => every,
            Self::Instant => Duration::ZERO,
            Self::Normal
            | Self::Slow
            | Self::RateLimited
            | Self::Failed
            | Self::Overloaded
            | Self::Cut
            | Self::NoUsage
            | Self::Tool
            | Self::Echo => options.pace,
        }
    }

    fn tokens(rest: &str) -> Option<Self> {
        let (count, every) = rest.split_once('-').unwrap_or((rest, "0"));
        let every = every.parse::<u64>().ok()?.min(EVERY_MAX_MS);
        Some(Self::Tokens { count: count.parse::<u32>().ok()?.min(TOKENS_MAX), every: Duration::from_millis(every) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ask_for_behaviours() {
        let check = |model: &str, expected: Behaviour| assert_eq!(Behaviour::of(model), expected, "{model}");
        let tokens = |count, ms| Behaviour::Tokens { count, every: Duration::from_millis(ms) };
        check("mock", Behaviour::Normal);
        check("gpt-5-mini", Behaviour::Normal);
        check("slow", Behaviour::Slow);
        check("529", Behaviour::Overloaded);
        check("tokens-7", tokens(7, 0));
        check("tokens-7-2", tokens(7, 2));
        check("tokens-4000000000", tokens(TOKENS_MAX, 0));
        check("tokens-many", Behaviour::Normal);
        check("tokens-1-2-3", Behaviour::Normal);
    }
}
