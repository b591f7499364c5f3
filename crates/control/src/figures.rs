//! What was used, as the API writes it: tokens in disjoint classes, money, times.

use access::NanoUsd;
use meter::Usage;
use serde::Serialize;
use store::Totals;
use utoipa::ToSchema;

pub(crate) const CURRENCY: &str = "USD";

/// What was used together.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Used {
    /// Requests that count.
    pub(crate) requests: u64,
    /// What they cost of the quota.
    pub(crate) credits: u64,
    pub(crate) tokens: Tokens,
    /// The sum of what is known.
    pub(crate) cost: Cost,
    /// What budgets in money count: the cost, and what was reserved where it is not known. Only in `usage/today` and
    /// `usage/history`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) charged: Option<Cost>,
    /// LLM requests whose cost is not, or not wholly, known; it is in no sum, and never taken for zero.
    pub(crate) unpriced_requests: u64,
}

/// Disjoint classes; `total` is their sum.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Tokens {
    /// Input that no cache had, audio and images too.
    input: u64,
    /// Input read from the provider's cache.
    cached_input: u64,
    /// Input written to the provider's cache.
    cache_write: u64,
    /// Output without reasoning, audio and images too.
    output: u64,
    /// Reasoning that the provider tells apart from other output.
    reasoning: u64,
    total: u64,
}

/// Money.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Cost {
    /// Billionths.
    #[schema(value_type = i64)]
    amount_nano: NanoUsd,
    currency: &'static str,
}

/// Every class that is told apart; null is not known, 0 a true zero. They are disjoint; `total` is the sum of what is known.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct TokenClasses {
    /// Text that no cache had, and what the provider does not tell apart from it.
    input: Option<u64>,
    /// Input read from the provider's cache.
    cached_input: Option<u64>,
    /// Input written to a cache of the short lifetime (5 or 30 minutes).
    cache_write_short: Option<u64>,
    /// Input written to a cache of the long lifetime (1 or 12 hours).
    cache_write_long: Option<u64>,
    /// Text without reasoning, and what the provider does not tell apart from it.
    output: Option<u64>,
    /// Reasoning that the provider tells apart from other output.
    reasoning: Option<u64>,
    /// Audio that no cache had.
    audio_input: Option<u64>,
    /// Images that no cache had.
    image_input: Option<u64>,
    /// Audio made.
    audio_output: Option<u64>,
    /// Images made.
    image_output: Option<u64>,
    total: u64,
}

/// Calls of tools that the provider runs itself and sells beside the tokens; null where there were none.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct ToolCalls {
    /// Searches of the web; of Gemini the different queries.
    searches: Option<u64>,
    /// Prompts that Google Maps grounded.
    maps_prompts: Option<u64>,
    /// Queries to Google Maps.
    maps_queries: Option<u64>,
    /// Containers of a code interpreter, in gigabytes of memory.
    containers: Option<u64>,
    /// Searches of stored files.
    file_searches: Option<u64>,
}

impl From<&meter::ToolCalls> for ToolCalls {
    fn from(calls: &meter::ToolCalls) -> Self {
        let meter::ToolCalls { searches, maps_prompts, maps_queries, containers, file_searches } = *calls;
        Self { searches, maps_prompts, maps_queries, containers, file_searches }
    }
}

impl From<&Totals> for Used {
    fn from(totals: &Totals) -> Self {
        let classes = [
            totals.input,
            totals.cached_input,
            totals.cache_write_short,
            totals.cache_write_long,
            totals.output,
            totals.reasoning,
        ];
        Self {
            requests: totals.requests,
            credits: totals.credits,
            tokens: Tokens::of(classes),
            cost: Cost::of(totals.cost),
            charged: totals.charged.map(Cost::of),
            unpriced_requests: totals.unpriced_requests,
        }
    }
}

impl Tokens {
    /// In the order of [`Usage::folded`].
    fn of([input, cached_input, short, long, output, reasoning]: [u64; 6]) -> Self {
        let cache_write = short.saturating_add(long);
        let total = [input, cached_input, cache_write, output, reasoning].into_iter().fold(0, u64::saturating_add);
        Self { input, cached_input, cache_write, output, reasoning, total }
    }
}

impl From<&Usage> for Tokens {
    fn from(usage: &Usage) -> Self {
        Self::of(usage.summary_classes().map(Option::unwrap_or_default))
    }
}

impl From<&Usage> for TokenClasses {
    fn from(usage: &Usage) -> Self {
        Self {
            input: usage.input,
            cached_input: usage.cached_input,
            cache_write_short: usage.cache_write_short,
            cache_write_long: usage.cache_write_long,
            output: usage.output,
            reasoning: usage.reasoning,
            audio_input: usage.audio_input,
            image_input: usage.image_input,
            audio_output: usage.audio_output,
            image_output: usage.image_output,
            total: usage.total(),
        }
    }
}

impl Cost {
    pub(crate) const fn of(amount_nano: NanoUsd) -> Self {
        Self { amount_nano, currency: CURRENCY }
    }
}

/// Milliseconds, exact to the microsecond.
#[expect(clippy::cast_precision_loss, reason = "below 2^53 microseconds, which are 285 years, none is lost")]
pub(crate) fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use meter::Source;
    use serde_json::json;

    use super::*;

    #[test]
    fn classes_are_disjoint_and_their_sum_is_the_total_however_they_are_told() {
        let usage = Usage {
            input: Some(1),
            cached_input: Some(2),
            cache_write_short: Some(4),
            cache_write_long: Some(8),
            output: Some(16),
            reasoning: Some(32),
            audio_input: Some(64),
            image_output: Some(128),
            ..Usage::empty(Source::Reported)
        };
        let folded = serde_json::to_value(Tokens::from(&usage)).unwrap();
        let whole =
            json!({"input": 65, "cached_input": 2, "cache_write": 12, "output": 144, "reasoning": 32, "total": 255});
        assert_eq!(folded, whole);
        let classes = serde_json::to_value(TokenClasses::from(&usage)).unwrap();
        assert_eq!((&classes["total"], &classes["image_input"]), (&json!(255), &json!(null)));
        let names = classes.as_object().unwrap().keys().filter(|name| *name != "total");
        assert_eq!(names.collect::<Vec<_>>().len(), meter::usage::CLASSES.len());
        assert!(meter::usage::CLASSES.iter().all(|class| classes.get(class).is_some()));
    }

    #[test]
    fn milliseconds_are_exact_to_the_microsecond() {
        for (us, text) in [(0, "0.0"), (1, "0.001"), (12_345, "12.345"), (3_600_000_001, "3600000.001")] {
            assert_eq!(serde_json::to_string(&ms(us)).unwrap(), text);
        }
    }
}
