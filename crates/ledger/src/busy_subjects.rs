//! The clients without a user that have used the most credits of a day.

use std::time::Duration;

use access::{Credits, Day, SubjectId};
use store::DatabaseError;
use store::sql::statements;
use uuid::Uuid;

use crate::Ledger;
use crate::row_ids::first_id;

/// Maximum error of the clock of a node, whose rows of a day may have earlier ids.
const SLACK: Duration = Duration::from_hours(1);

statements! {
    // A sum may overflow although its parts do not, so billions and remainders are summed separately. SQLite would group by
    // the index of subjects, and read all days, if the group were the column itself; the cross join keeps it from reading
    // all subjects.
    BUSIEST = "SELECT coalesce(d.subject_id, d.subject_id) AS subject_id,
        CAST(sum(d.credits / 1000000000) AS BIGINT) AS billions, CAST(sum(d.credits % 1000000000) AS BIGINT) AS credits,
        count(*) OVER () AS found FROM daily_subjects d CROSS JOIN subjects s
        WHERE d.id >= $1 AND d.day = $2 AND s.id = d.subject_id AND s.issuer = $3
        GROUP BY 1 HAVING sum(d.credits * 1.0) >= CAST($4 AS BIGINT) ORDER BY sum(d.credits * 1.0) DESC, 1 LIMIT $5";
}

/// The credits that a client without a user has used on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubjectCredits {
    /// The id of the subject.
    pub subject: SubjectId,
    /// The credits, as far as ingest has stored them.
    pub credits: Credits,
}

#[derive(sqlx_macros::FromRow)]
struct SubjectRow {
    subject_id: Uuid,
    billions: i64,
    credits: i64,
    found: i64,
}

impl From<SubjectRow> for SubjectCredits {
    fn from(SubjectRow { subject_id, billions, credits, .. }: SubjectRow) -> Self {
        let total = i128::from(billions) * 1_000_000_000 + i128::from(credits);
        let most = if total < 0 { 0 } else { u64::MAX };
        Self { subject: SubjectId(subject_id), credits: Credits(u64::try_from(total).unwrap_or(most)) }
    }
}

impl Ledger {
    /// Returns the clients of an issuer that have used at least `least` credits of `day`, at most `max`, the largest number
    /// first, and the number of all such clients. It reads all rows of the day.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn busiest_subjects(
        &self,
        day: Day,
        issuer: &str,
        least: Credits,
        max: u32,
    ) -> Result<(Vec<SubjectCredits>, usize), DatabaseError> {
        let from = first_id(day.start().before(SLACK));
        let least = i64::try_from(least.0).unwrap_or(i64::MAX);
        let query = self.store.query(BUSIEST).bind(from).bind(i64::from(day.0)).bind(issuer).bind(least);
        let rows: Vec<SubjectRow> = query.bind(i64::from(max)).all().await?;
        let found = rows.first().map_or(0, |row| usize::try_from(row.found).unwrap_or(0));
        Ok((rows.into_iter().map(SubjectCredits::from).collect(), found))
    }
}
