//! Input tokens of one day that providers read from their prompt caches, by the price that rated them, and the requests that
//! response caches served.

use access::Day;
use meter::CacheUse;
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::sql::unsigned;

use super::range::{OF_DAY, bind_day};
use super::scope::DayUsageOf;
use crate::handle::Ledger;

/// Maximum number of groups; those with the fewest tokens are omitted.
const GROUPS_MAX: usize = 10_000;

/// Attempts with cached input tokens that one version of a price rated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedUsage {
    /// Name of the provider.
    pub provider: Option<String>,
    /// Model that the provider was asked for.
    pub model: Option<String>,
    /// Model that responded, if the provider reports it.
    pub answered_model: Option<String>,
    /// Version of the price; `None` if the attempts had no price.
    pub price_version: Option<String>,
    /// The number of attempts.
    pub requests: u64,
    /// The number of cached input tokens.
    pub cached_input: u64,
}

#[derive(sqlx_macros::FromRow)]
struct CachedRow {
    provider: Option<String>,
    model: Option<String>,
    answered: Option<String>,
    price: Option<String>,
    requests: i64,
    cached_input: i64,
}

/// Builds the query for the cached input tokens of a day.
fn cached(of: DayUsageOf) -> String {
    let condition = of.condition();
    format!(
        "SELECT provider.name AS provider, model.name AS model, answered.name AS answered, price.name AS price,
            g.requests, g.cached_input
        FROM (SELECT provider_no, provider_model_no, answered_model_no, price_no, CAST(count(*) AS BIGINT) AS requests,
                CAST(sum(cached_input_tokens) AS BIGINT) AS cached_input
            FROM (SELECT provider_no, provider_model_no, answered_model_no, price_no, cached_input_tokens
                    FROM usage_events WHERE {condition} AND {OF_DAY} AND attempts < 2 AND cached_input_tokens > 0
                        AND own_cost_nano IS NULL
                UNION ALL
                SELECT x.provider_no, x.provider_model_no, x.answered_model_no, x.price_no, x.cached_input_tokens
                    FROM (SELECT id FROM usage_events WHERE {condition} AND {OF_DAY} AND attempts > 1
                        AND cached_input_tokens > 0) e
                    JOIN usage_attempts x ON x.event_id = e.id WHERE x.cached_input_tokens > 0 AND x.own_cost_nano IS NULL) u
            GROUP BY provider_no, provider_model_no, answered_model_no, price_no
            ORDER BY cached_input DESC, provider_no, provider_model_no, answered_model_no, price_no LIMIT {GROUPS_MAX}) g
        LEFT JOIN names provider ON provider.no = g.provider_no LEFT JOIN names model ON model.no = g.provider_model_no
        LEFT JOIN names answered ON answered.no = g.answered_model_no LEFT JOIN names price ON price.no = g.price_no"
    )
}

/// Builds the query for the number of requests of a day for which no request was sent to an upstream.
fn served(of: DayUsageOf) -> String {
    let condition = of.condition();
    let free = CacheUse::ALL.into_iter().filter(|used| used.is_free()).map(|used| used.number().to_string());
    let free = free.collect::<Vec<_>>().join(", ");
    format!("SELECT CAST(count(*) AS BIGINT) FROM usage_events WHERE {condition} AND {OF_DAY} AND cache IN ({free})")
}

impl Ledger {
    /// Returns the cached input tokens of a scope on one day, by price, without those of users' own credentials. It reads the
    /// events of the day.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn cached_usage(&self, of: impl Into<DayUsageOf>, day: Day) -> Result<Vec<CachedUsage>, DatabaseError> {
        let of = of.into();
        let query = bind_day(of.bind(self.store.query(AssertSqlSafe(cached(of)))), day);
        let rows: Vec<CachedRow> = query.all().await?;
        let usage = rows.into_iter().map(|row| CachedUsage {
            provider: row.provider,
            model: row.model,
            answered_model: row.answered,
            price_version: row.price,
            requests: unsigned(row.requests),
            cached_input: unsigned(row.cached_input),
        });
        Ok(usage.collect())
    }

    /// Returns the number of a scope's requests on one day that response caches served. It reads the events of the day, so
    /// requests that are only counted by minute are not included.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn requests_from_cache(&self, of: impl Into<DayUsageOf>, day: Day) -> Result<u64, DatabaseError> {
        let of = of.into();
        let query = bind_day(of.bind(self.store.query(AssertSqlSafe(served(of)))), day);
        let (requests,): (i64,) = query.one().await?;
        Ok(unsigned(requests))
    }
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    DayUsageOf::kinds().into_iter().flat_map(|of| [cached(of), served(of)]).collect()
}
