//! The daily totals that invoices charge.

use access::{Day, Timestamp, UserNo};
use store::sql::{Transaction, statements, timestamp};
use store::{DatabaseError, Store};
use uuid::Uuid;

use super::subscriptions::day;

statements! {
    TOTALS = "SELECT day, CAST(NULL AS TEXT) AS model, CAST(sum(requests) AS BIGINT) AS requests, CAST(sum(credits) AS BIGINT) AS credits,
        CAST(sum(input_tokens + cached_input_tokens + cache_write_short_tokens + cache_write_long_tokens + output_tokens
        + reasoning_tokens) AS BIGINT) AS tokens, CAST(sum(cost_nano) AS BIGINT) AS cost_nano,
        CAST(sum(unpriced_requests) AS BIGINT) AS unpriced_requests
        FROM daily_usage WHERE user_no = $1 AND day >= $2 AND day <= $3 GROUP BY day";
    MODELS = "SELECT d.day, n.name AS model, CAST(sum(d.requests) AS BIGINT) AS requests, CAST(sum(d.credits) AS BIGINT) AS credits,
        CAST(sum(d.input_tokens + d.cached_input_tokens + d.cache_write_short_tokens + d.cache_write_long_tokens + d.output_tokens
        + d.reasoning_tokens) AS BIGINT) AS tokens, CAST(sum(d.cost_nano) AS BIGINT) AS cost_nano,
        CAST(sum(d.unpriced_requests) AS BIGINT) AS unpriced_requests
        FROM daily_models d JOIN names n ON n.no = d.model_no
        WHERE d.user_no = $1 AND d.day >= $2 AND d.day <= $3 GROUP BY d.day, n.name";
    // A node that left with an empty spool has nothing to store; a node that stopped otherwise blocks the close.
    STORED_UNTIL = "SELECT CAST(min(CASE WHEN left_at IS NOT NULL AND ingested_until >= left_at - 1000000 THEN $1
        ELSE coalesce(ingested_until, 0) END) AS BIGINT) FROM nodes";
    BEHIND = "SELECT id FROM nodes WHERE left_at IS NULL OR ingested_until IS NULL OR ingested_until < left_at - 1000000
        ORDER BY coalesce(ingested_until, 0) LIMIT 1";
}

/// The recorded usage of a user on one day, of all models or of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargedDay {
    /// The UTC day of admission.
    pub day: Day,
    /// The model; `None` for the totals of all requests.
    pub model: Option<String>,
    /// Number of requests on the day.
    pub requests: i64,
    /// Credits of the requests.
    pub credits: i64,
    /// Tokens of all classes.
    pub tokens: i64,
    /// The known cost in nano-USD.
    pub cost_nano: i64,
    /// Number of requests without a known cost.
    pub unpriced_requests: i64,
}

#[derive(Debug, sqlx_macros::FromRow)]
struct ChargedRow {
    day: i64,
    model: Option<String>,
    requests: i64,
    credits: i64,
    tokens: i64,
    cost_nano: i64,
    unpriced_requests: i64,
}

impl From<ChargedRow> for ChargedDay {
    fn from(row: ChargedRow) -> Self {
        Self {
            day: day(row.day),
            model: row.model,
            requests: row.requests,
            credits: row.credits,
            tokens: row.tokens,
            cost_nano: row.cost_nano,
            unpriced_requests: row.unpriced_requests,
        }
    }
}

/// Returns the usage of a user on the days from `first` to `last`, by day, and by day and model.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_days(
    on: &mut Transaction,
    user: UserNo,
    first: Day,
    last: Day,
) -> Result<Vec<ChargedDay>, DatabaseError> {
    let mut days = Vec::new();
    for sql in [TOTALS, MODELS] {
        let query = on.query(sql).bind(user.0).bind(i64::from(first.0)).bind(i64::from(last.0));
        days.extend(query.all::<ChargedRow>().await?.into_iter().map(ChargedDay::from));
    }
    Ok(days)
}

/// Returns the node whose usage is stored until the earliest time.
///
/// # Errors
/// Database errors of any kind.
pub async fn behind(store: &Store) -> Result<Option<Uuid>, DatabaseError> {
    Ok(store.query(BEHIND).find::<(Uuid,)>().await?.map(|(node,)| node))
}

/// Returns the time until which the usage of every node is stored; `None` without nodes.
///
/// # Errors
/// Database errors of any kind.
pub async fn stored_until(store: &Store) -> Result<Option<Timestamp>, DatabaseError> {
    let (until,): (Option<i64>,) = store.query(STORED_UNTIL).bind(store.now()).one().await?;
    Ok(until.map(timestamp))
}
