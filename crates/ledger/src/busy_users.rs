//! The users that have used the largest part of the daily quota of their plan.

use access::{Credits, Day, UserId, UserNo};
use store::DatabaseError;
use store::sql::{statements, unsigned};
use uuid::Uuid;

use crate::Ledger;

/// The part of a quota from which on a user is listed, in thousandths.
const BUSY_THOUSANDTHS: i64 = 250;

statements! {
    // The quota is in credits, the used amount in micro-credits. The product may exceed a BIGINT, so neither is multiplied
    // as an integer.
    BUSIEST_USERS = "SELECT u.no, u.id, u.email, u.name, p.credits_per_day, d.credits, count(*) OVER () AS found
        FROM (SELECT user_no, CAST(sum(credits) AS BIGINT) AS credits FROM daily_usage WHERE day = $1 GROUP BY user_no) d
        JOIN users u ON u.no = d.user_no JOIN plans p ON p.id = u.plan_id
        WHERE p.credits_per_day > 0 AND d.credits * 1000.0 >= p.credits_per_day * 1000000.0 * CAST($2 AS BIGINT)
        ORDER BY d.credits * 1.0 / p.credits_per_day DESC, u.no LIMIT $3";
}

/// The credits that a user has used on a day, with the quota of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCredits {
    /// Number of the user.
    pub no: UserNo,
    /// Public id of the user.
    pub id: UserId,
    /// The e-mail address, or the name of a service user.
    pub name: String,
    /// The quota of the user's plan.
    pub limit: Credits,
    /// The credits, as far as ingest has stored them.
    pub used: Credits,
}

#[derive(sqlx_macros::FromRow)]
struct UserCreditsRow {
    no: i64,
    id: Uuid,
    email: Option<String>,
    name: String,
    credits_per_day: i64,
    credits: i64,
    found: i64,
}

impl UserCredits {
    /// Returns the used part of the quota, in thousandths.
    #[must_use]
    pub fn fullness(&self) -> u64 {
        let part = u128::from(self.used.0) * 1_000 / u128::from(self.limit.0.max(1));
        u64::try_from(part).unwrap_or(u64::MAX)
    }
}

impl Ledger {
    /// Returns the users that have used at least a quarter of the quota of their plan on `day`, at most `max`, the largest
    /// part first, and the number of all such users. It reads the totals of the day.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn busiest_users(&self, day: Day, max: u32) -> Result<(Vec<UserCredits>, usize), DatabaseError> {
        let query = self.store.query(BUSIEST_USERS).bind(i64::from(day.0)).bind(BUSY_THOUSANDTHS).bind(i64::from(max));
        let rows: Vec<UserCreditsRow> = query.all().await?;
        let found = rows.first().map_or(0, |row| usize::try_from(row.found).unwrap_or(0));
        let user = |row: UserCreditsRow| UserCredits {
            no: UserNo(row.no),
            id: UserId(row.id),
            name: row.email.unwrap_or(row.name),
            limit: Credits::whole(unsigned(row.credits_per_day)),
            used: Credits(unsigned(row.credits)),
        };
        Ok((rows.into_iter().map(user).collect(), found))
    }
}
