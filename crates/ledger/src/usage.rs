//! Usage: totals of a day by user and key; then `history` (many days),
//! `requests` (single requests), `overview`, `series` (figures per step of time), and
//! `providers` (their newest responses).

mod days;
mod history;
mod label_filter;
mod overview;
mod providers;
mod requests;
mod route_totals;
mod scope;
mod scope_overview;
mod series;
mod sums;
pub(crate) mod unpriced_models;

use access::{Credits, Day, KeyId, KeyNo, NanoUsd, UserNo};
use store::DatabaseError;
use store::sql::{statements, unsigned};
use uuid::Uuid;

use crate::handle::Ledger;
use crate::usage_totals::UsageTotals;

pub use days::{
    CachedUsage, DAY_EVENTS_MAX, DayEvent, DayState, DayTotals, DayUsageOf, DurationCount, EVENT_GROUPS_MAX,
    EventGroup, GroupBounds, MinuteGroup, ModelDayUsage,
};
pub use overview::{Overview, OverviewKey, OverviewModel};
pub use providers::{PROVIDER_REQUESTS_MAX, ProviderResponse};
pub use requests::{
    CountedRequests, REQUESTS_LOOKED_AT_MAX, REQUESTS_PAGE_MAX, RequestAttempt, RequestDetails, RequestFilter,
    RequestKey, RequestKind, RequestLine, RequestPage, RequestPlace, RequestSubject,
};
pub use scope::{KeyOwner, UsageOf};
pub use scope_overview::{RankedRoute, RankedUser, ScopeOverview, TopLists, UserUse};
pub use series::{
    GroupName, GroupSeries, SERIES_ROWS_MAX, SERIES_ROWS_OF_SEVERAL_MAX, SeriesFigures, SeriesFilter, SeriesGroup,
    SeriesStep, SeriesUser, UsageSeries,
};
pub use sums::ResultTotals;
pub use unpriced_models::UnpricedModel;

statements! {
    OF_DAY = "SELECT d.key_no, k.id AS key_id, k.label, k.prefix, k.last4, d.requests, d.credits, d.input_tokens,
        d.cached_input_tokens, d.cache_write_short_tokens, d.cache_write_long_tokens, d.output_tokens,
        d.reasoning_tokens, d.cost_nano, d.charged_nano, d.unpriced_requests
        FROM daily_usage d LEFT JOIN api_keys k ON k.no = d.key_no WHERE d.user_no = $1 AND d.day = $2 ORDER BY d.key_no";
    USAGE_FROM = "SELECT coalesce(max(usage_from), 0) FROM revision";
}

/// Usage of a user on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayUsage {
    /// Sum over the keys below.
    pub total: UsageTotals,
    /// Keys that were used, in order of creation.
    pub by_key: Vec<KeyUsage>,
}

impl DayUsage {
    /// Returns the part of one key. The total of a key without usage is zero, in the same fields.
    #[must_use]
    pub fn of_key(self, key: KeyNo) -> Self {
        let by_key: Vec<KeyUsage> = self.by_key.into_iter().filter(|usage| usage.no == key).collect();
        Self { total: by_key.first().map_or(UsageTotals::NOTHING, |usage| usage.total), by_key }
    }
}

/// Usage of a key on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUsage {
    /// Public id of the key.
    pub key: KeyId,
    /// Number that usage events use for the key.
    pub no: KeyNo,
    /// Name that the owner gives the key.
    pub label: String,
    /// Part of the key before the underscore.
    pub prefix: String,
    /// Last four characters of the key.
    pub last4: String,
    /// Usage with the key.
    pub total: UsageTotals,
}

#[derive(Debug, sqlx_macros::FromRow)]
struct DayRow {
    key_no: i64,
    key_id: Option<Uuid>,
    label: Option<String>,
    prefix: Option<String>,
    last4: Option<String>,
    requests: i64,
    credits: i64,
    input_tokens: i64,
    cached_input_tokens: i64,
    cache_write_short_tokens: i64,
    cache_write_long_tokens: i64,
    output_tokens: i64,
    reasoning_tokens: i64,
    cost_nano: i64,
    charged_nano: i64,
    unpriced_requests: i64,
}

impl DayRow {
    fn totals(&self) -> UsageTotals {
        UsageTotals {
            requests: unsigned(self.requests),
            credits: Credits(unsigned(self.credits)),
            input: unsigned(self.input_tokens),
            cached_input: unsigned(self.cached_input_tokens),
            cache_write_short: unsigned(self.cache_write_short_tokens),
            cache_write_long: unsigned(self.cache_write_long_tokens),
            output: unsigned(self.output_tokens),
            reasoning: unsigned(self.reasoning_tokens),
            cost: NanoUsd(self.cost_nano),
            charged: Some(NanoUsd(self.charged_nano)),
            unpriced_requests: unsigned(self.unpriced_requests),
        }
    }
}

impl Ledger {
    /// Returns the usage of a user on a day, with all keys, as far as ingest has stored it.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn usage_of_day(&self, user: UserNo, day: Day) -> Result<DayUsage, DatabaseError> {
        let rows: Vec<DayRow> = self.store.query(OF_DAY).bind(user.0).bind(i64::from(day.0)).all().await?;
        let mut usage = DayUsage { total: UsageTotals::NOTHING, by_key: Vec::new() };
        for row in rows {
            let total = row.totals();
            usage.total.add(&total);
            // A key may be missing if the database is an older copy; its usage is only in the total.
            let named = (row.key_id, row.label, row.prefix, row.last4);
            if let Some(last) = usage.by_key.last_mut().filter(|last| last.no.0 == row.key_no) {
                // Usage of the same key on another node.
                last.total.add(&total);
            } else if let (Some(id), Some(label), Some(prefix), Some(last4)) = named {
                usage.by_key.push(KeyUsage { key: KeyId(id), no: KeyNo(row.key_no), label, prefix, last4, total });
            }
        }
        Ok(usage)
    }
}

/// Returns the SQL texts of the submodules.
#[cfg(test)]
pub(crate) fn parts() -> Vec<(&'static str, &'static str)> {
    let [label, overview] = [label_filter::STATEMENTS, overview::STATEMENTS];
    [&days::statements()[..], label, overview, providers::STATEMENTS, &requests::texts::statements()[..]].concat()
}

/// Returns the SQL texts that the submodules build.
#[cfg(test)]
pub(crate) fn built(kind: store::sql::StoreKind) -> Vec<String> {
    [
        days::texts(kind),
        series::texts(),
        history::texts(),
        overview::texts(),
        requests::texts::texts(),
        route_totals::texts(),
        scope_overview::texts(kind),
    ]
    .concat()
}

#[cfg(test)]
mod tests;
