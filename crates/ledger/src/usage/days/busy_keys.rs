//! The number of LLM requests of each key on one day that were not refused, by the totals per hour.

use access::Day;
use sqlx::AssertSqlSafe;
use store::DatabaseError;

use super::scope::DayUsageOf;
use crate::handle::Ledger;
use crate::usage::scope::UsageOf;

/// The number of LLM requests of a key that succeeded or failed. Refused ones do not count.
const MADE: &str = "CAST(sum(succeeded + errors) AS BIGINT)";

/// Returns the users whose keys a scope has. Requests with a label can be of any key, whose other requests count too.
const fn users(of: DayUsageOf) -> UsageOf {
    match of {
        DayUsageOf::Users(of) => of,
        DayUsageOf::Label(_) => UsageOf::All,
    }
}

/// Returns the totals of the LLM requests of keys, by key. It reads one row per hour, key, model and route. `day`: the
/// placeholder of the day.
fn totals(condition: &str, day: &str) -> String {
    format!(
        "FROM hourly_usage WHERE {condition} AND day = {day} AND hour >= {day} * 24 - 1 AND hour < {day} * 24 + 25
            AND model_no >= 0 AND key_no > 0 GROUP BY key_no"
    )
}

/// Builds the join of events with `made`, the number of LLM requests of their key on the day `$6` that were not refused. It is
/// null for keys without any.
pub(super) fn join(of: DayUsageOf) -> String {
    let condition = match of {
        DayUsageOf::Users(of) => of.condition(),
        DayUsageOf::Label(_) => "1 = 1",
    };
    let totals = totals(condition, "$6");
    format!(" LEFT JOIN (SELECT key_no AS of_key, {MADE} AS made {totals}) k ON k.of_key = key_no")
}

/// Builds the query for one key with at least `$3` LLM requests on the day `$2`.
fn busy(of: UsageOf) -> String {
    format!("SELECT key_no {} HAVING {MADE} >= $3 LIMIT 1", totals(of.condition(), "$2"))
}

impl Ledger {
    /// Whether a key of a scope reaches the lowest of ascending bounds of the number of its LLM requests on one day.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub(super) async fn has_busy_key(&self, of: DayUsageOf, day: Day, bounds: &[u64]) -> Result<bool, DatabaseError> {
        let Some(least) = bounds.first() else { return Ok(false) };
        let users = users(of);
        let query = users.bind(self.store.query(AssertSqlSafe(busy(users)))).bind(i64::from(day.0));
        let found: Option<(i64,)> = query.bind(i64::try_from(*least).unwrap_or(i64::MAX)).find().await?;
        Ok(found.is_some())
    }
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    UsageOf::KINDS.into_iter().map(busy).collect()
}
