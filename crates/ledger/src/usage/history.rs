//! Totals of several days.

use access::{Day, KeyNo};
use sqlx::AssertSqlSafe;
use store::DatabaseError;

use super::scope::UsageOf;
use super::sums::{SumsRow, charged, sums};
use crate::handle::Ledger;
use crate::usage_totals::UsageTotals;

#[derive(sqlx_macros::FromRow)]
struct HistoryRow {
    day: i64,
    #[sqlx(flatten)]
    sums: SumsRow,
}

/// The columns that the query adds up; `charged_nano` follows.
const COLUMNS: &str = "day, requests, credits, input_tokens, cached_input_tokens, cache_write_short_tokens,
    cache_write_long_tokens, output_tokens, reasoning_tokens, cost_nano, unpriced_requests";

/// Builds the query for the totals of days `$2` to `$3`, of the key `$4` or of all keys. It reads one row per day, key and
/// node, and for all users one per day and route: requests without a user are only in the totals of routes.
fn days(of: UsageOf) -> String {
    let condition = of.condition();
    let sums = sums!();
    let charged = charged!();
    let range = "day >= $2 AND day <= $3";
    let keys = format!(
        "SELECT {COLUMNS}, charged_nano FROM daily_usage WHERE {condition} AND {range} AND (key_no = $4 OR $4 IS NULL)"
    );
    let from = match of {
        UsageOf::All => format!(
            "{keys} UNION ALL SELECT {COLUMNS}, 0 FROM daily_routes
            WHERE user_no = 0 AND {range} AND CAST($4 AS BIGINT) IS NULL"
        ),
        UsageOf::Plan(_) | UsageOf::User(_) => keys,
    };
    format!("SELECT day, {sums}, {charged} FROM ({from}) d GROUP BY day")
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
        let of = of.into();
        let first = (last.0 + 1).saturating_sub(days);
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
