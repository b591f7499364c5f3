//! Totals of several days.

use access::{Day, KeyNo, UserNo};
use store::DatabaseError;
use store::sql::statements;

use super::UsageTotals;
use super::sums::{SumsRow, charged, sums};
use crate::handle::Ledger;

statements! {
    DAYS = concat!("SELECT day, ", sums!(), ", ", charged!(), " FROM daily_usage WHERE user_no = $1 AND day >= $2 AND day <= $3 GROUP BY day");
    DAYS_OF_KEY = concat!("SELECT day, ", sums!(), ", ", charged!(), " FROM daily_usage WHERE user_no = $1 AND day >= $2 AND day <= $3
        AND key_no = $4 GROUP BY day");
}

#[derive(sqlx_macros::FromRow)]
struct HistoryRow {
    day: i64,
    #[sqlx(flatten)]
    sums: SumsRow,
}

impl Ledger {
    /// Returns the usage of a user on each of `days` days that end with `last`, with all keys or with one. The oldest
    /// day is first, days without usage are zero, and no day is before 1970.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn usage_of_days(
        &self,
        user: UserNo,
        key: Option<KeyNo>,
        days: u32,
        last: Day,
    ) -> Result<Vec<(Day, UsageTotals)>, DatabaseError> {
        let first = (last.0 + 1).saturating_sub(days);
        let query = self.store.query(if key.is_some() { DAYS_OF_KEY } else { DAYS });
        let query = query.bind(user.0).bind(i64::from(first)).bind(i64::from(last.0));
        let rows: Vec<HistoryRow> = match key {
            Some(key) => query.bind(key.0).all().await?,
            None => query.all().await?,
        };
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
