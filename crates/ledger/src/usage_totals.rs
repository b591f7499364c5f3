//! Sums of usage, which ingest adds up and the readers of usage return.

use access::{Credits, NanoUsd};

/// Sums of usage over several requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageTotals {
    /// Requests that reached an upstream and were not free of charge.
    pub requests: u64,
    /// Credits that the requests used.
    pub credits: Credits,
    /// Input tokens that were neither read from nor written to a cache.
    pub input: u64,
    /// Input tokens that were read from a cache.
    pub cached_input: u64,
    /// Input tokens that were written to a cache of the short lifetime.
    pub cache_write_short: u64,
    /// Input tokens that were written to a cache of the long lifetime.
    pub cache_write_long: u64,
    /// Output tokens except reasoning tokens.
    pub output: u64,
    /// Reasoning tokens of the output.
    pub reasoning: u64,
    /// Known part of the cost.
    pub cost: NanoUsd,
    /// Amount that budgets count: the cost, or the reserved amount if the cost is unknown. `None` in totals without
    /// this column.
    pub charged: Option<NanoUsd>,
    /// LLM requests whose cost is unknown or partly unknown.
    pub unpriced_requests: u64,
}

impl UsageTotals {
    /// The totals of a day without usage.
    pub(crate) const NOTHING: Self = Self {
        requests: 0,
        credits: Credits::ZERO,
        input: 0,
        cached_input: 0,
        cache_write_short: 0,
        cache_write_long: 0,
        output: 0,
        reasoning: 0,
        cost: NanoUsd(0),
        charged: Some(NanoUsd(0)),
        unpriced_requests: 0,
    };

    /// Adds `other`; sums saturate at the ends of their type.
    pub(crate) fn add(&mut self, other: &Self) {
        let add = |to: &mut u64, more: u64| *to = to.saturating_add(more);
        add(&mut self.requests, other.requests);
        self.credits = self.credits.saturating_add(other.credits);
        add(&mut self.input, other.input);
        add(&mut self.cached_input, other.cached_input);
        add(&mut self.cache_write_short, other.cache_write_short);
        add(&mut self.cache_write_long, other.cache_write_long);
        add(&mut self.output, other.output);
        add(&mut self.reasoning, other.reasoning);
        self.cost = self.cost.saturating_add(other.cost);
        self.charged = match (self.charged, other.charged) {
            (Some(charged), Some(more)) => Some(charged.saturating_add(more)),
            (charged, more) => charged.or(more),
        };
        add(&mut self.unpriced_requests, other.unpriced_requests);
    }
}
