//! The keys with many LLM requests on one day, by the totals per hour.

use access::Day;
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::sql::unsigned;

use super::scope::DayUsageOf;
use crate::handle::Ledger;
use crate::usage::scope::UsageOf;

/// Maximum number of keys of a day that reach a bound: those with the most requests.
const BUSY_KEYS_MAX: usize = 1_000;

/// The numbers of the keys that reach each bound, from the lowest bound on. No list is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BusyKeys(Vec<Vec<i64>>);

impl BusyKeys {
    /// Takes the keys with the number of their requests, and ascending bounds of this number.
    pub(super) fn new(keys: &[(i64, u64)], bounds: &[u64]) -> Self {
        let reaching = |bound: &u64| -> Vec<i64> {
            keys.iter().filter(|(_, requests)| requests >= bound).map(|(key, _)| *key).collect()
        };
        Self(bounds.iter().map(reaching).filter(|keys| !keys.is_empty()).collect())
    }

    /// Returns the expression for the number of bounds that the key of an event reaches, which is 0 for events of a session;
    /// `None` if no key reaches a bound.
    pub(super) fn expression(&self) -> Option<String> {
        let mut reached = String::from("CAST(0 AS BIGINT)");
        for keys in &self.0 {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            reached.push_str(&format!(" + CASE WHEN key_no IN ({}) THEN 1 ELSE 0 END", keys.join(", ")));
        }
        let is_any = !self.0.is_empty();
        is_any
            .then(|| format!("CASE WHEN session_id IS NULL THEN CAST({reached} AS BIGINT) ELSE CAST(0 AS BIGINT) END"))
    }
}

/// Returns the users whose keys a scope has. Requests with a label can be of any key, whose other requests count too.
const fn users(of: DayUsageOf) -> UsageOf {
    match of {
        DayUsageOf::Users(of) => of,
        DayUsageOf::Label(_) => UsageOf::All,
    }
}

/// Builds the query for the keys with at least `$3` LLM requests on the day `$2`. It reads one row per hour, key, model and
/// route.
fn busy(of: UsageOf) -> String {
    let (condition, requests) = (of.condition(), "CAST(sum(succeeded + refused + errors) AS BIGINT)");
    format!(
        "SELECT key_no, {requests} AS made FROM hourly_usage
        WHERE {condition} AND hour >= $2 * 24 - 1 AND hour < $2 * 24 + 25 AND day = $2 AND model_no >= 0 AND key_no > 0
        GROUP BY key_no HAVING {requests} >= $3 ORDER BY made DESC, key_no LIMIT {BUSY_KEYS_MAX}"
    )
}

impl Ledger {
    /// Returns the keys of a scope that reach bounds of the number of their LLM requests on one day.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub(super) async fn busy_keys(&self, of: DayUsageOf, day: Day, bounds: &[u64]) -> Result<BusyKeys, DatabaseError> {
        let Some(least) = bounds.first() else { return Ok(BusyKeys::default()) };
        let users = users(of);
        let query = users.bind(self.store.query(AssertSqlSafe(busy(users)))).bind(i64::from(day.0));
        let rows: Vec<(i64, i64)> = query.bind(i64::try_from(*least).unwrap_or(i64::MAX)).all().await?;
        let keys: Vec<(i64, u64)> = rows.into_iter().map(|(key, requests)| (key, unsigned(requests))).collect();
        Ok(BusyKeys::new(&keys, bounds))
    }
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    UsageOf::KINDS.into_iter().map(busy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_reach_a_bound_are_in_the_expression() {
        assert_eq!(BusyKeys::new(&[(3, 9)], &[10]).expression(), None);
        assert_eq!(BusyKeys::new(&[(3, 9)], &[]).expression(), None);
        let expression = BusyKeys::new(&[(5, 30), (3, 9)], &[9, 20, 40]).expression().unwrap();
        let lists: Vec<&str> =
            expression.split("key_no IN (").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert_eq!(lists, ["5, 3", "5"], "{expression}");
    }
}
