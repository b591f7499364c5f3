//! Comparison of the charges of subjects without a user with the events and counts that they were added up from.

use std::collections::BTreeSet;

use access::{Day, SubjectId};
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::sql::Transaction;
use uuid::Uuid;

use super::comparison::{EVENTS, day};
use super::row::NumberRowWithId;
use super::totals::{SUBJECT_MEASURES, counts};
use super::{DIFFERENCES_MAX, Days, Difference, DifferencePlace, Reconciliation};

const TOTALS_OF_SUBJECTS: &str = "totals of subjects";

/// The missing amounts in the totals of one subject on one day, in the order of [`SUBJECT_MEASURES`].
pub(super) type SubjectLacks = (SubjectId, Vec<i128>);

/// Compares each subject's charges of each day.
pub(super) async fn compare(tx: &mut Transaction, days: Days, found: &mut Reconciliation) -> Result<(), DatabaseError> {
    let suspects = rows(tx, days, days.ids(), DIFFERENCES_MAX + 1).await?;
    let suspected: BTreeSet<Day> = suspects.iter().map(|row| day(row.numbers.number(0))).collect();
    found.more |= suspects.len() > DIFFERENCES_MAX;
    for day in suspected {
        let rows = of_day(tx, day, DIFFERENCES_MAX + 1).await?;
        found.more |= rows.len() > DIFFERENCES_MAX;
        rows.iter().for_each(|row| found.tell(differences(row)));
    }
    Ok(())
}

/// Returns the first subjects with missing amounts on `day`, at most `most`.
pub(super) async fn lacks(tx: &mut Transaction, day: Day, most: usize) -> Result<Vec<SubjectLacks>, DatabaseError> {
    let days = Days { first: day, last: day };
    if rows(tx, days, days.ids(), 1).await?.is_empty() {
        return Ok(Vec::new());
    }
    let of_row = |row: &NumberRowWithId| {
        let lacks: Vec<i128> = sides(row).map(|(found, expected)| expected - found).collect();
        lacks.iter().any(|lack| *lack != 0).then(|| (SubjectId(row.id.unwrap_or_default()), lacks))
    };
    Ok(of_day(tx, day, most).await?.iter().filter_map(of_row).collect())
}

/// Compares a day with all ids: events of a clock that jumped have ids outside the day's range. It reads all events, so it
/// is called only for a day on which the ids of the range show a difference.
async fn of_day(tx: &mut Transaction, day: Day, most: usize) -> Result<Vec<NumberRowWithId>, DatabaseError> {
    rows(tx, Days { first: day, last: day }, [Uuid::nil(), Uuid::max()], most).await
}

/// Returns the days and subjects whose sums differ, at most `most`: the day, the sums of both sides, and the id. The events
/// are those whose ids are in the range.
async fn rows(
    tx: &mut Transaction,
    days: Days,
    [from, end]: [Uuid; 2],
    most: usize,
) -> Result<Vec<NumberRowWithId>, DatabaseError> {
    let [first, last] = days.numbers();
    let query = tx.query(AssertSqlSafe(text())).bind(first).bind(last).bind(from).bind(end);
    query.bind(i64::try_from(most).unwrap_or(i64::MAX)).all().await
}

/// Returns the actual and the expected sum of each measure. Totals saturate at the end of their type.
fn sides(row: &NumberRowWithId) -> impl Iterator<Item = (i128, i128)> {
    let most = i128::from(i64::MAX);
    let sums = row.numbers.sums(1);
    (0..SUBJECT_MEASURES.len()).map(move |nth| {
        let at = |at: usize| sums.get(at).copied().unwrap_or(0).min(most);
        (at(2 * nth), at(2 * nth + 1))
    })
}

fn differences(row: &NumberRowWithId) -> Vec<Difference> {
    let place =
        DifferencePlace::Subject { day: day(row.numbers.number(0)), subject: SubjectId(row.id.unwrap_or_default()) };
    let differing = SUBJECT_MEASURES.into_iter().zip(sides(row)).filter(|(_, (found, expected))| found != expected);
    let difference = |(measure, (found, expected))| Difference {
        place: place.clone(),
        measure,
        expected: (EVENTS, expected),
        found: (TOTALS_OF_SUBJECTS, found),
    };
    differing.map(difference).collect()
}

/// Builds the query for the subjects whose charges on days `$1` to `$2` differ, from events whose ids are from `$3` to
/// `$4`; at most `$5` of them. Each sum has two columns, billions and remainder.
fn text() -> String {
    let part = |measure: &str, side: u8, of: &str| {
        format!("CAST(sum(CASE WHEN side = {side} THEN {measure} {of} 1000000000 ELSE 0 END) AS BIGINT)")
    };
    let sums: Vec<String> = SUBJECT_MEASURES
        .iter()
        .flat_map(|measure| [0, 1].map(|side| format!("{}, {}", part(measure, side, "/"), part(measure, side, "%"))))
        .collect();
    let differs = SUBJECT_MEASURES.map(|measure| {
        let difference = |of: &str| {
            format!("sum(CASE WHEN side = 1 THEN {measure} {of} 1000000000 ELSE -({measure} {of} 1000000000) END)")
        };
        format!("{} * 1000000000 + {} <> 0", difference("/"), difference("%"))
    });
    let counts = counts!();
    format!(
        "SELECT day, {}, subject_id FROM (
            SELECT 0 AS side, day, subject_id, credits, charged_tokens, charged_nano FROM daily_subjects
            WHERE day >= $1 AND day <= $2
            UNION ALL SELECT 1, e.day, s.id, e.credits, e.charged_tokens, e.charged_nano
            FROM usage_events e JOIN subjects s ON s.no = e.subject_no
            WHERE e.day >= $1 AND e.day <= $2 AND e.id >= $3 AND e.id < $4 AND {counts}
            UNION ALL SELECT 1, c.day, s.id, c.credits, 0, 0 FROM usage_counts c JOIN subjects s ON s.no = c.subject_no
            WHERE c.day >= $1 AND c.day <= $2 AND c.id >= $3 AND c.credits <> 0) sides
        GROUP BY day, subject_id HAVING {} ORDER BY day, subject_id LIMIT $5",
        sums.join(", "),
        differs.join(" OR "),
    )
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts() -> [String; 1] {
    [text()]
}
