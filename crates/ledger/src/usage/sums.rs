//! Totals that the database adds up.

use access::{Credits, NanoUsd};
use store::sql::unsigned;

use crate::usage_totals::UsageTotals;

/// Columns of [`SumsRow`], over rows of `daily_usage` or `daily_models`. A sum of costs may overflow although its parts
/// do not, so dollars and remainders are summed separately; the sums of all other columns are far below the limit of
/// their type.
macro_rules! sums {
    () => {
        "CAST(sum(requests) AS BIGINT) AS requests, CAST(sum(credits) AS BIGINT) AS credits,
        CAST(sum(input_tokens) AS BIGINT) AS input_tokens, CAST(sum(cached_input_tokens) AS BIGINT) AS cached_input_tokens,
        CAST(sum(cache_write_short_tokens) AS BIGINT) AS cache_write_short_tokens,
        CAST(sum(cache_write_long_tokens) AS BIGINT) AS cache_write_long_tokens,
        CAST(sum(output_tokens) AS BIGINT) AS output_tokens, CAST(sum(reasoning_tokens) AS BIGINT) AS reasoning_tokens,
        CAST(sum(cost_nano / 1000000000) AS BIGINT) AS cost_dollars,
        CAST(sum(cost_nano % 1000000000) AS BIGINT) AS cost_rest, CAST(sum(unpriced_requests) AS BIGINT) AS unpriced_requests"
    };
}
pub(crate) use sums;

/// Columns of [`SumsRow`] that only `daily_usage` has.
macro_rules! charged {
    () => {
        "CAST(sum(charged_nano / 1000000000) AS BIGINT) AS charged_dollars,
        CAST(sum(charged_nano % 1000000000) AS BIGINT) AS charged_rest"
    };
}
pub(crate) use charged;

/// Columns of [`OwnCostRow`], over rows of `daily_models` or `daily_labels`.
macro_rules! own_cost {
    () => {
        "CAST(sum(own_cost_nano / 1000000000) AS BIGINT) AS own_dollars,
        CAST(sum(own_cost_nano % 1000000000) AS BIGINT) AS own_rest"
    };
}
pub(crate) use own_cost;

/// Columns of [`SumsRow`], over rows of sums.
macro_rules! sums_of_sums {
    () => {
        "CAST(sum(requests) AS BIGINT) AS requests, CAST(sum(credits) AS BIGINT) AS credits,
        CAST(sum(input_tokens) AS BIGINT) AS input_tokens, CAST(sum(cached_input_tokens) AS BIGINT) AS cached_input_tokens,
        CAST(sum(cache_write_short_tokens) AS BIGINT) AS cache_write_short_tokens,
        CAST(sum(cache_write_long_tokens) AS BIGINT) AS cache_write_long_tokens,
        CAST(sum(output_tokens) AS BIGINT) AS output_tokens, CAST(sum(reasoning_tokens) AS BIGINT) AS reasoning_tokens,
        CAST(sum(cost_dollars) AS BIGINT) AS cost_dollars, CAST(sum(cost_rest) AS BIGINT) AS cost_rest,
        CAST(sum(unpriced_requests) AS BIGINT) AS unpriced_requests"
    };
}
pub(crate) use sums_of_sums;

/// The columns of [`charged!`], over rows of sums.
macro_rules! charged_of_sums {
    () => {
        "CAST(sum(charged_dollars) AS BIGINT) AS charged_dollars, CAST(sum(charged_rest) AS BIGINT) AS charged_rest"
    };
}
pub(crate) use charged_of_sums;

/// The columns of [`ResultsRow`] in a query.
macro_rules! results {
    () => {
        "CAST(sum(succeeded) AS BIGINT) AS succeeded, CAST(sum(refused) AS BIGINT) AS refused, CAST(sum(errors) AS BIGINT) AS errors"
    };
}
pub(crate) use results;

/// The number of requests by result, as `meter::result` defines it. Together they are all requests, including those that do
/// not count for a quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResultTotals {
    /// Requests that neither were refused nor failed.
    pub succeeded: u64,
    /// Requests that Tollgate refused.
    pub refused: u64,
    /// Requests that failed, as `meter::result` defines it.
    pub errors: u64,
}

impl ResultTotals {
    /// Returns the number of all requests.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.succeeded.saturating_add(self.refused).saturating_add(self.errors)
    }
}

/// Sums by result, which are null if there were no rows.
#[derive(Debug, Default, sqlx_macros::FromRow)]
pub(crate) struct ResultsRow {
    succeeded: Option<i64>,
    refused: Option<i64>,
    errors: Option<i64>,
}

impl From<&ResultsRow> for ResultTotals {
    fn from(row: &ResultsRow) -> Self {
        let of = |sum: Option<i64>| unsigned(sum.unwrap_or(0));
        Self { succeeded: of(row.succeeded), refused: of(row.refused), errors: of(row.errors) }
    }
}

const NANO_PER_DOLLAR: i128 = 1_000_000_000;

/// Sums, which are null if there were no rows.
#[derive(Debug, Default, sqlx_macros::FromRow)]
#[sqlx(default)]
pub(crate) struct SumsRow {
    requests: Option<i64>,
    credits: Option<i64>,
    input_tokens: Option<i64>,
    cached_input_tokens: Option<i64>,
    cache_write_short_tokens: Option<i64>,
    cache_write_long_tokens: Option<i64>,
    output_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
    cost_dollars: Option<i64>,
    cost_rest: Option<i64>,
    unpriced_requests: Option<i64>,
    charged_dollars: Option<i64>,
    charged_rest: Option<i64>,
}

impl From<&SumsRow> for UsageTotals {
    fn from(row: &SumsRow) -> Self {
        let of = |sum: Option<i64>| unsigned(sum.unwrap_or(0));
        Self {
            requests: of(row.requests),
            credits: Credits(of(row.credits)),
            input: of(row.input_tokens),
            cached_input: of(row.cached_input_tokens),
            cache_write_short: of(row.cache_write_short_tokens),
            cache_write_long: of(row.cache_write_long_tokens),
            output: of(row.output_tokens),
            reasoning: of(row.reasoning_tokens),
            cost: money(row.cost_dollars.unwrap_or(0), row.cost_rest),
            charged: row.charged_dollars.map(|dollars| money(dollars, row.charged_rest)),
            unpriced_requests: of(row.unpriced_requests),
        }
    }
}

/// The sum of the costs that users' own credentials paid, which is null if there were no rows.
#[derive(Debug, Default, sqlx_macros::FromRow)]
pub(crate) struct OwnCostRow {
    own_dollars: Option<i64>,
    own_rest: Option<i64>,
}

impl From<&OwnCostRow> for NanoUsd {
    fn from(row: &OwnCostRow) -> Self {
        money(row.own_dollars.unwrap_or(0), row.own_rest)
    }
}

/// Adds dollars and the remainder in nano-USD; the sum saturates.
fn money(dollars: i64, rest: Option<i64>) -> NanoUsd {
    let nano = i128::from(dollars) * NANO_PER_DOLLAR + i128::from(rest.unwrap_or(0));
    let end = if nano < 0 { i64::MIN } else { i64::MAX };
    NanoUsd(i64::try_from(nano).unwrap_or(end))
}
