//! Comparison of totals with the rows that they were added up from.

use std::collections::BTreeMap;

use access::{Day, KeyNo, PlanId, Timestamp, UserNo};
use store::DatabaseError;
use store::sql::{Transaction, statements, unsigned};
use uuid::Uuid;

use super::row::{NumberRow, NumberRowWithId};
use super::suspects::Suspects;
use super::totals::{self, PLAN_MEASURES, TotalsKind, TotalsTable};
use super::{Days, Difference, DifferencePlace, Reconciliation};
use sqlx::AssertSqlSafe;

statements! {
    USER = "SELECT id FROM users WHERE no = $1";
    KEY = "SELECT id FROM api_keys WHERE no = $1";
    NAME = "SELECT name FROM names WHERE no = $1 AND kind = $2";
    LABELS = "SELECT labels FROM label_sets WHERE no = $1";
}

const MICROS_PER_HOUR: u64 = 3_600_000_000;
pub(super) const EVENTS: &str = "events";
const TOTALS: &str = "totals";
const TOTALS_OF_PLANS: &str = "totals of plans";

/// The sums of both sides, in the order of the columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ComparedSums {
    /// Sums according to the totals.
    pub(super) told: Vec<i128>,
    /// Sums of the events and counts.
    pub(super) kept: Vec<i128>,
}

impl ComparedSums {
    /// Returns the expected and the actual sum of a column. Totals saturate at the ends of their type and are never
    /// negative.
    pub(super) fn column_sums(&self, column: usize) -> (i128, i128) {
        let at = |sums: &[i128]| sums.get(column).copied().unwrap_or(0).min(i128::from(i64::MAX));
        (at(&self.kept), at(&self.told))
    }

    fn differing(&self, totals: &TotalsTable) -> Vec<DifferingColumn> {
        let compared = totals.columns.iter().enumerate().map(|(nth, column)| (column.name, self.column_sums(nth)));
        compared.filter(|(_, (kept, told))| kept != told).map(|(name, (kept, told))| (name, kept, told)).collect()
    }
}

/// One day of one user.
#[derive(Debug, Clone, Copy)]
struct UserDay {
    day: Day,
    user: UserNo,
}

/// Adds `more` to `to`, column by column.
pub(super) fn add(to: &mut Vec<i128>, more: &[i128]) {
    to.resize(to.len().max(more.len()), 0);
    to.iter_mut().zip(more).for_each(|(to, more)| *to += more);
}

/// Compares the totals of the users that may differ from `first` on.
pub(super) async fn compare(
    tx: &mut Transaction,
    suspects: &Suspects,
    first: Day,
    found: &mut Reconciliation,
) -> Result<(), DatabaseError> {
    found.more |= suspects.more;
    for (nth, totals) in totals::ALL.into_iter().enumerate() {
        for (day, user) in suspects.of_table(nth, first) {
            let parts = of_user(tx, totals, day, user).await?;
            for (part, sides) in &parts {
                let differing = sides.differing(totals);
                if !differing.is_empty() {
                    let place = place(tx, totals, UserDay { day, user }, part).await?;
                    found.tell(differences(&place, differing));
                }
            }
        }
    }
    Ok(())
}

/// Compares the totals of plans.
pub(super) async fn compare_plans(
    tx: &mut Transaction,
    days: Days,
    found: &mut Reconciliation,
) -> Result<(), DatabaseError> {
    for (day, of) in plans(tx, days, days.ids()).await? {
        if differing_plans(&of).is_empty() {
            continue;
        }
        // Reads all ids: events of a clock that jumped have ids outside the range.
        let only = Days { first: day, last: day };
        let all = plans(tx, only, [Uuid::nil(), Uuid::max()]).await?;
        let tell = |differs: PlanSumDifference| Difference {
            place: differs.plan.map_or(DifferencePlace::Day(day), |plan| DifferencePlace::Plan { day, plan }),
            measure: PLAN_MEASURES.get(differs.column).copied().unwrap_or_default(),
            expected: (EVENTS, differs.kept),
            found: (TOTALS_OF_PLANS, differs.told),
        };
        found.tell(all.values().flat_map(differing_plans).map(tell).collect());
    }
    Ok(())
}

/// Returns the days and users whose totals may differ.
pub(super) async fn suspects(
    tx: &mut Transaction,
    totals: &TotalsTable,
    days: Days,
    most: usize,
) -> Result<Vec<(Day, UserNo)>, DatabaseError> {
    let [first, last] = days.numbers();
    let [from, end] = days.ids();
    let query = tx.query(AssertSqlSafe(totals.suspects())).bind(first).bind(last).bind(from).bind(end);
    let rows: Vec<(i64, i64)> = query.bind(i64::try_from(most).unwrap_or(i64::MAX)).all().await?;
    Ok(rows.into_iter().map(|(of, user)| (day(of), UserNo(user))).collect())
}

/// Returns both sides of a user's day, by the values of the grouping columns, in one snapshot.
pub(super) async fn of_user(
    tx: &mut Transaction,
    totals: &TotalsTable,
    day: Day,
    user: UserNo,
) -> Result<BTreeMap<Vec<i64>, ComparedSums>, DatabaseError> {
    let query = tx.query(AssertSqlSafe(totals.of_user())).bind(i64::from(day.0)).bind(user.0);
    let rows: Vec<NumberRow> = query.all().await?;
    let mut parts: BTreeMap<Vec<i64>, ComparedSums> = BTreeMap::new();
    let by: usize = totals.by.len();
    for row in rows {
        let sides = parts.entry((0..by).map(|nth| row.number(nth)).collect()).or_default();
        let side = if row.number(by) == 0 { &mut sides.told } else { &mut sides.kept };
        add(side, &row.sums(by + 1));
    }
    Ok(parts)
}

/// A column whose sums differ: its name, the expected sum and the actual one.
type DifferingColumn = (&'static str, i128, i128);

fn differences(place: &DifferencePlace, differing: Vec<DifferingColumn>) -> Vec<Difference> {
    let tell = |(measure, kept, told)| Difference {
        place: place.clone(),
        measure,
        expected: (EVENTS, kept),
        found: (TOTALS, told),
    };
    differing.into_iter().map(tell).collect()
}

/// Returns the object that a row of totals describes.
async fn place(
    tx: &mut Transaction,
    totals: &TotalsTable,
    of: UserDay,
    part: &[i64],
) -> Result<DifferencePlace, DatabaseError> {
    let UserDay { day, user } = of;
    let user = (user, id(tx, USER, user.0).await?);
    Ok(match (totals.kind, part) {
        (TotalsKind::Keys, [key]) => DifferencePlace::Key { day, user, key: (KeyNo(*key), id(tx, KEY, *key).await?) },
        (TotalsKind::Models, [model]) => DifferencePlace::Model { day, user, model: name(tx, *model, "model").await? },
        (TotalsKind::Routes, [route]) => DifferencePlace::Route { day, user, route: name(tx, *route, "route").await? },
        (TotalsKind::Labels, [labels, model]) => DifferencePlace::Labels {
            day,
            user,
            labels: labels_of(tx, *labels).await?,
            model: name(tx, *model, "model").await?,
        },
        (TotalsKind::Hours, [hour, key, model, route, _result]) => DifferencePlace::Hour {
            at: Timestamp(unsigned(*hour).saturating_mul(MICROS_PER_HOUR)),
            user,
            key: (KeyNo(*key), id(tx, KEY, *key).await?),
            model: name(tx, *model, "model").await?,
            route: name(tx, *route, "route").await?,
        },
        // No table has other grouping columns.
        _ => DifferencePlace::Day(day),
    })
}

async fn name(tx: &mut Transaction, no: i64, kind: &'static str) -> Result<Option<String>, DatabaseError> {
    let found: Option<(String,)> = tx.query(NAME).bind(no).bind(kind).find().await?;
    Ok(found.map(|(name,)| name))
}

async fn labels_of(tx: &mut Transaction, no: i64) -> Result<Option<String>, DatabaseError> {
    let found: Option<(String,)> = tx.query(LABELS).bind(no).find().await?;
    Ok(found.map(|(labels,)| labels))
}

async fn id(tx: &mut Transaction, question: &'static str, no: i64) -> Result<Option<Uuid>, DatabaseError> {
    let found: Option<(Uuid,)> = tx.query(question).bind(no).find().await?;
    Ok(found.map(|(id,)| id))
}

/// Sums of all users of one plan on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PlanSums {
    pub(super) told: Vec<i128>,
    pub(super) events: Vec<i128>,
    /// Credits of counts, attributed to the plan that the users have now.
    pub(super) counts: Vec<i128>,
}

/// Sums of one day, by plan.
pub(super) type DayPlanSums = BTreeMap<PlanId, PlanSums>;

/// Returns both sides by day and plan, in one snapshot.
pub(super) async fn plans(
    tx: &mut Transaction,
    days: Days,
    [from, end]: [Uuid; 2],
) -> Result<BTreeMap<Day, DayPlanSums>, DatabaseError> {
    let [first, last] = days.numbers();
    let query = tx.query(AssertSqlSafe(totals::plans())).bind(first).bind(last).bind(from).bind(end);
    let rows: Vec<NumberRowWithId> = query.all().await?;
    let mut plans: BTreeMap<Day, DayPlanSums> = BTreeMap::new();
    for NumberRowWithId { numbers, id } in rows {
        let plan = PlanId(id.unwrap_or_default());
        let of = plans.entry(day(numbers.number(0))).or_default().entry(plan).or_default();
        let side = match numbers.number(1) {
            0 => &mut of.told,
            1 => &mut of.events,
            _ => &mut of.counts,
        };
        add(side, &numbers.sums(2));
    }
    Ok(plans)
}

/// A difference of a plan on one day; `plan` is `None` if only the sum over all plans differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlanSumDifference {
    pub(super) plan: Option<PlanId>,
    pub(super) column: usize,
    pub(super) kept: i128,
    pub(super) told: i128,
}

impl PlanSums {
    /// Returns a column of the totals, the events, and the counts.
    pub(super) fn column_sums(&self, column: usize) -> [i128; 3] {
        [&self.told, &self.events, &self.counts].map(|sums| sums.get(column).copied().unwrap_or(0))
    }
}

/// Compares the totals of plans with events and counts. Counts do not contain the plan of their users. If a day has
/// counts, the credits of all plans are compared in sum, and no plan may have fewer than its events.
pub(super) fn differing_plans(of: &DayPlanSums) -> Vec<PlanSumDifference> {
    let most = i128::from(i64::MAX);
    let mut differing = Vec::new();
    let mut sum = [0, 0];
    let has_counts = of.values().any(|of| of.counts.iter().any(|count| *count != 0));
    for (plan, of) in of {
        for column in 0..PLAN_MEASURES.len() {
            let [told, events, counts] = of.column_sums(column);
            let is_summed = column == 0 && has_counts;
            if is_summed {
                sum = [sum[0] + events + counts, sum[1] + told];
            }
            let kept = events.min(most);
            let told = told.min(most);
            if told < kept || told > kept && !is_summed {
                differing.push(PlanSumDifference { plan: Some(*plan), column, kept, told });
            }
        }
    }
    let [kept, told] = sum;
    if kept != told && differing.iter().all(|differs| differs.column != 0) {
        differing.push(PlanSumDifference { plan: None, column: 0, kept, told });
    }
    differing
}

/// Converts a stored day.
pub(super) fn day(stored: i64) -> Day {
    Day(u32::try_from(stored).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_sums(told: i128, events: i128, counts: i128) -> PlanSums {
        let sums = |credits| vec![credits, 5, 6];
        PlanSums { told: sums(told), events: sums(events), counts: vec![counts, 0, 0] }
    }

    #[test]
    fn credits_of_plans_are_compared_in_sum_where_counts_do_not_say_whose_they_are() {
        let plan = |no: u128| PlanId(Uuid::from_u128(no));
        let check = |plans: [PlanSums; 2], expected: &[(Option<u128>, i128, i128)]| {
            let plans: DayPlanSums = [plan(1), plan(2)].into_iter().zip(plans).collect();
            let found: Vec<_> = differing_plans(&plans).iter().map(|of| (of.plan, of.kept, of.told)).collect();
            let expected: Vec<_> = expected.iter().map(|(of, kept, told)| (of.map(plan), *kept, *told)).collect();
            assert_eq!(found, expected);
        };
        check([plan_sums(3, 3, 0), plan_sums(4, 4, 0)], &[]);
        check([plan_sums(4, 3, 0), plan_sums(4, 4, 0)], &[(Some(1), 3, 4)]);
        // The user of the two counted requests has another plan now.
        check([plan_sums(3, 3, 2), plan_sums(6, 4, 0)], &[]);
        check([plan_sums(3, 3, 2), plan_sums(5, 4, 0)], &[(None, 9, 8)]);
        check([plan_sums(2, 3, 2), plan_sums(7, 4, 0)], &[(Some(1), 3, 2)]);
    }
}
