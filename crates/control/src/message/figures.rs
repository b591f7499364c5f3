//! Usage as the API writes it: tokens in disjoint classes, money, and durations.

use access::{Credits, NanoUsd, UserId};
use ledger::{ResultTotals, UsageTotals};
use meter::Usage;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) const CURRENCY: &str = "USD";

/// The usage of a group of requests.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct UsageFigures {
    /// The number of requests that count.
    pub(crate) requests: u64,
    /// The credits that the requests cost.
    #[schema(value_type = f64)]
    pub(crate) credits: Credits,
    pub(crate) tokens: Tokens,
    /// The sum of all known costs.
    pub(crate) cost: Cost,
    /// The amount that budgets in money count: the cost, and the larger of the reserved and the
    /// known amount of requests with unknown cost. Only
    /// in `usage/today`, `usage/history`, the totals and keys of the overview, and series of days of all requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) charged: Option<Cost>,
    /// The number of LLM requests whose cost is unknown, or known in part only. An unknown cost is part of no sum and
    /// never counts as zero.
    pub(crate) unpriced_requests: u64,
}

/// Tokens in disjoint classes; `total` is their sum.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Tokens {
    /// Input tokens that no cache had, including audio and images.
    input: u64,
    /// Input tokens that were read from the provider's cache.
    cached_input: u64,
    /// Input tokens that were written to the provider's cache.
    cache_write: u64,
    /// Output tokens without reasoning, including audio and images.
    output: u64,
    /// Reasoning tokens, if the provider reports them separately.
    reasoning: u64,
    total: u64,
}

/// An amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub(crate) struct Cost {
    /// The amount in billionths (nano) of the currency.
    #[schema(value_type = i64)]
    amount_nano: NanoUsd,
    currency: &'static str,
}

/// Tokens in all disjoint classes. Null means unknown, 0 is a reported zero; `total` is the sum of the known classes.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct TokenClasses {
    /// Text input that no cache had, and input that the provider does not report separately.
    input: Option<u64>,
    /// Input tokens that were read from the provider's cache.
    cached_input: Option<u64>,
    /// Input that was written to a cache with the short lifetime (5 or 30 minutes).
    cache_write_short: Option<u64>,
    /// Input that was written to a cache with the long lifetime (1 or 12 hours).
    cache_write_long: Option<u64>,
    /// Text output without reasoning, and output that the provider does not report separately.
    output: Option<u64>,
    /// Reasoning tokens, if the provider reports them separately.
    reasoning: Option<u64>,
    /// Audio input that no cache had.
    audio_input: Option<u64>,
    /// Image input that no cache had.
    image_input: Option<u64>,
    /// Audio that the model generated.
    audio_output: Option<u64>,
    /// Images that the model generated.
    image_output: Option<u64>,
    total: u64,
}

/// Tool calls that the provider runs itself and bills separately from tokens; null means that the provider reported
/// none.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct ToolCalls {
    /// Web searches; for Gemini, the number of different queries.
    searches: Option<u64>,
    /// Prompts that were grounded with Google Maps.
    maps_prompts: Option<u64>,
    /// Queries to Google Maps.
    maps_queries: Option<u64>,
    /// Containers of a code interpreter, in gigabytes of memory.
    containers: Option<u64>,
    /// Searches in stored files.
    file_searches: Option<u64>,
}

impl From<&meter::ToolCalls> for ToolCalls {
    fn from(calls: &meter::ToolCalls) -> Self {
        let meter::ToolCalls { searches, maps_prompts, maps_queries, containers, file_searches } = *calls;
        Self { searches, maps_prompts, maps_queries, containers, file_searches }
    }
}

impl From<&UsageTotals> for UsageFigures {
    fn from(totals: &UsageTotals) -> Self {
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
            tokens: Tokens::from_classes(classes),
            cost: Cost::from_nano_usd(totals.cost),
            charged: totals.charged.map(Cost::from_nano_usd),
            unpriced_requests: totals.unpriced_requests,
        }
    }
}

impl Tokens {
    /// Takes the classes in the order of `Usage::summary_classes`.
    fn from_classes([input, cached_input, short, long, output, reasoning]: [u64; 6]) -> Self {
        let cache_write = short.saturating_add(long);
        let total = [input, cached_input, cache_write, output, reasoning].into_iter().fold(0, u64::saturating_add);
        Self { input, cached_input, cache_write, output, reasoning, total }
    }
}

impl Tokens {
    /// Returns the classes and the total, in the order of the fields.
    pub(crate) const fn classes(&self) -> [u64; 6] {
        [self.input, self.cached_input, self.cache_write, self.output, self.reasoning, self.total]
    }
}

impl From<&Usage> for Tokens {
    fn from(usage: &Usage) -> Self {
        Self::from_classes(usage.summary_classes().map(|class| class.unwrap_or_default().0))
    }
}

impl From<&Usage> for TokenClasses {
    fn from(usage: &Usage) -> Self {
        let of = |class: Option<access::Tokens>| class.map(|tokens| tokens.0);
        Self {
            input: of(usage.input),
            cached_input: of(usage.cached_input),
            cache_write_short: of(usage.cache_write_short),
            cache_write_long: of(usage.cache_write_long),
            output: of(usage.output),
            reasoning: of(usage.reasoning),
            audio_input: of(usage.audio_input),
            image_input: of(usage.image_input),
            audio_output: of(usage.audio_output),
            image_output: of(usage.image_output),
            total: usage.total().0,
        }
    }
}

impl Cost {
    /// Returns the amount without its currency.
    pub(crate) const fn nano_usd(&self) -> NanoUsd {
        self.amount_nano
    }

    pub(crate) const fn from_nano_usd(amount_nano: NanoUsd) -> Self {
        Self { amount_nano, currency: CURRENCY }
    }
}

/// The number of requests by result. Together they are all requests; the rate of failures is `errors` divided by the sum of
/// `errors` and `succeeded`.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[schema(as = RequestResults)]
pub(crate) struct ResultCounts {
    /// The number of requests that neither were refused nor failed.
    pub(crate) succeeded: u64,
    /// The number of requests that the gateway refused.
    pub(crate) refused: u64,
    /// The number of failed requests.
    pub(crate) errors: u64,
}

impl From<ResultTotals> for ResultCounts {
    fn from(ResultTotals { succeeded, refused, errors }: ResultTotals) -> Self {
        Self { succeeded, refused, errors }
    }
}

/// The user who owns a key.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = KeyOwner)]
pub(crate) struct KeyOwnerView {
    #[schema(value_type = Uuid)]
    pub(crate) id: UserId,
    /// The display name of the user.
    pub(crate) name: String,
}

impl From<ledger::KeyOwner> for KeyOwnerView {
    fn from(owner: ledger::KeyOwner) -> Self {
        Self { id: owner.id, name: owner.name }
    }
}

/// Converts microseconds to milliseconds, exact to the microsecond.
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
    fn classes_are_disjoint_and_add_up_to_the_total() {
        let usage = Usage {
            input: Some(access::Tokens(1)),
            cached_input: Some(access::Tokens(2)),
            cache_write_short: Some(access::Tokens(4)),
            cache_write_long: Some(access::Tokens(8)),
            output: Some(access::Tokens(16)),
            reasoning: Some(access::Tokens(32)),
            audio_input: Some(access::Tokens(64)),
            image_output: Some(access::Tokens(128)),
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
