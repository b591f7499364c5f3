//! Totals of several days.

use access::{Day, KeyNo};
use sqlx::AssertSqlSafe;
use store::DatabaseError;

use super::UsageTotals;
use super::scope::UsageOf;
use super::sums::{SumsRow, charged, sums};
use crate::handle::Ledger;

#[derive(sqlx_macros::FromRow)]
struct HistoryRow {
    day: i64,
    #[sqlx(flatten)]
    sums: SumsRow,
}

/// Builds the query for the totals of days `$2` to `$3`, of the key `$4` or of all keys. It reads one row per day, key and
/// node.
fn days(of: UsageOf) -> String {
    let (of, sums, charged) = (of.condition(), sums!(), charged!());
    format!(
        "SELECT day, {sums}, {charged} FROM daily_usage WHERE {of} AND day >= $2 AND day <= $3
        AND (key_no = $4 OR $4 IS NULL) GROUP BY day"
    )
}

impl Ledger {
    /// Returns the usage of a scope on each of `days` days that end with `last`, with all keys or with one. The oldest
    /// day is first, days without usage are zero, and no day is before 1970.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn usage_of_days(
        &self,
        of: impl Into<UsageOf>,
        key: Option<KeyNo>,
        days: u32,
        last: Day,
    ) -> Result<Vec<(Day, UsageTotals)>, DatabaseError> {
        let (of, first) = (of.into(), (last.0 + 1).saturating_sub(days));
        let query = of.bind(self.store.query(AssertSqlSafe(self::days(of))));
        let query = query.bind(i64::from(first)).bind(i64::from(last.0)).bind(key.map(|key| key.0));
        let rows: Vec<HistoryRow> = query.all().await?;
        let mut all: Vec<(Day, UsageTotals)> = (first..=last.0).map(|day| (Day(day), UsageTotals::NOTHING)).collect();
        for row in rows {
            let at = usize::try_from(row.day - i64::from(first)).ok();
            if let Some((_, totals)) = at.and_then(|at| all.get_mut(at)) {
                *totals = UsageTotals::from(&row.sums);
            }
        }
        Ok(all)
    }
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    UsageOf::KINDS.into_iter().map(days).collect()
}
