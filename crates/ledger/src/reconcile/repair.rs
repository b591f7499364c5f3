//! Correction of totals from events: a day at a time, in transactions of several users each, while nodes run.
//!
//! The missing amounts are read in a snapshot, and added in a short transaction. Ingest writes rows and totals
//! together, so it adds the same amount to both sides, and an added correction is right at any time. Each correction
//! writes a line to the audit log: a line written after the snapshot shows that another process has added the same
//! correction. Rows are changed in the order that ingest uses.

use std::collections::BTreeMap;

use access::{Day, PlanId, SubjectId, UserNo};
use serde_json::json;
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::audit::{Act, Actor, AuditAction};
use store::sql::{Transaction, statements};
use thiserror::Error;
use uuid::Uuid;

use super::comparable::comparable_from;
use super::comparison::{self, DayPlanSums};
use super::row::NumberRowWithId;
use super::totals::{self, PLAN_MEASURES, TotalsKind, TotalsTable};
use super::{Days, subjects};
use crate::handle::Ledger;

/// Maximum number of users whose day one transaction corrects.
const USERS_MAX: usize = 200;
/// Maximum number of subjects whose day one transaction corrects.
pub(super) const SUBJECTS_MAX: usize = 500;
/// A transaction stops after this number of rows and the rows of one further user.
const ROWS_MAX: usize = 500;
/// Node id of rows whose node is unknown.
const NO_NODE: Uuid = Uuid::nil();

statements! {
    REPAIRS = "SELECT count(*) FROM audit_log WHERE action = 'totals.repair'";
    PLAN_ROWS = "SELECT credits, charged_tokens, charged_nano, own_charged_nano, id FROM daily_plans WHERE day = $1 AND plan_id = $2
        ORDER BY credits DESC, id";
    ADD_TO_PLAN = "UPDATE daily_plans SET credits = credits + $3, charged_tokens = charged_tokens + $4,
        charged_nano = charged_nano + $5, own_charged_nano = own_charged_nano + $6, updated_at = $2 WHERE id = $1";
    NEW_PLAN = "INSERT INTO daily_plans (id, created_at, updated_at, day, plan_id, node_id, credits, charged_tokens, charged_nano,
        own_charged_nano) VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (day, plan_id, node_id) DO UPDATE SET
        updated_at = excluded.updated_at, credits = daily_plans.credits + excluded.credits,
        charged_tokens = daily_plans.charged_tokens + excluded.charged_tokens,
        charged_nano = daily_plans.charged_nano + excluded.charged_nano,
        own_charged_nano = daily_plans.own_charged_nano + excluded.own_charged_nano";
    SUBJECT_ROWS = "SELECT credits, charged_tokens, charged_nano, id FROM daily_subjects WHERE day = $1 AND subject_id = $2
        ORDER BY credits DESC, id";
    ADD_TO_SUBJECT = "UPDATE daily_subjects SET credits = credits + $3, charged_tokens = charged_tokens + $4,
        charged_nano = charged_nano + $5, updated_at = $2 WHERE id = $1";
    NEW_SUBJECT = "INSERT INTO daily_subjects (id, created_at, updated_at, day, subject_id, node_id, credits, charged_tokens,
        charged_nano) VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (subject_id, day, node_id) DO UPDATE SET
        updated_at = excluded.updated_at, credits = daily_subjects.credits + excluded.credits,
        charged_tokens = daily_subjects.charged_tokens + excluded.charged_tokens,
        charged_nano = daily_subjects.charged_nano + excluded.charged_nano";
    RAISE_VERSION = "INSERT INTO day_versions (id, created_at, updated_at, day, version) VALUES ($1, $2, $2, $3, 1)
        ON CONFLICT (day) DO UPDATE SET updated_at = excluded.updated_at,
        version = day_versions.version + excluded.version";
}

/// The error of a correction of totals.
#[derive(Debug, Error)]
pub enum RepairError {
    /// The totals of a day still differ from its usage events after the missing amounts were added.
    #[error(
        "totals of {day} are still wrong after their correction: another process changes them, or prevents their change"
    )]
    Unrepaired {
        /// Day whose totals differ.
        day: Day,
    },
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Number of corrected totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RepairedTotals {
    /// Corrected totals of keys.
    pub keys: u64,
    /// Corrected totals of models.
    pub models: u64,
    /// Corrected totals of plans.
    pub plans: u64,
    /// Corrected totals of subjects without a user.
    pub subjects: u64,
    /// Corrected totals of hours.
    pub hours: u64,
    /// Corrected totals of routes.
    pub routes: u64,
    /// Corrected totals of label sets.
    pub labels: u64,
}

impl RepairedTotals {
    /// Whether any total was corrected.
    #[must_use]
    pub fn is_any(&self) -> bool {
        *self != Self::default()
    }

    fn add(&mut self, more: &Self) {
        self.keys += more.keys;
        self.models += more.models;
        self.plans += more.plans;
        self.subjects += more.subjects;
        self.hours += more.hours;
        self.routes += more.routes;
        self.labels += more.labels;
    }

    const fn count(&mut self, kind: TotalsKind) {
        match kind {
            TotalsKind::Keys => self.keys += 1,
            TotalsKind::Models => self.models += 1,
            TotalsKind::Hours => self.hours += 1,
            TotalsKind::Routes => self.routes += 1,
            TotalsKind::Labels => self.labels += 1,
        }
    }
}

impl Ledger {
    /// Corrects the totals of those `days` whose events are complete, and writes an audit line for each transaction
    /// that changed any. Corrections made before an error are kept.
    ///
    /// # Errors
    /// Database errors; [`RepairError::Unrepaired`] if a total still differs after it was corrected.
    pub async fn repair_totals(&self, by: &Actor, days: Days) -> Result<RepairedTotals, RepairError> {
        let mut repaired = RepairedTotals::default();
        let Some(Days { first, last }) = days.since(self.usage_kept_from().await?) else { return Ok(repaired) };
        for day in (first.0..=last.0).map(Day) {
            let mut last: Option<MissingAmounts> = None;
            loop {
                let mut snapshot = self.store.begin_read().await?;
                let repairs = repairs(&mut snapshot).await?;
                let lacking = MissingAmounts::read(&mut snapshot, day).await?;
                let kept_from = comparable_from(&mut snapshot).await?;
                snapshot.rollback().await?;
                // Retention records the deletion before it deletes, so the events may be incomplete now.
                if kept_from > day || (lacking.rows.is_empty() && lacking.charges.is_empty()) {
                    break;
                }
                if last.as_ref() == Some(&lacking) {
                    return Err(RepairError::Unrepaired { day });
                }
                if let Some(more) = self.repair_some(by, day, repairs, &lacking).await? {
                    repaired.add(&more);
                    last = Some(lacking);
                }
            }
        }
        Ok(repaired)
    }

    /// Runs one transaction; `None` if another process has corrected totals since `repairs` were counted, and nothing was
    /// done.
    async fn repair_some(
        &self,
        by: &Actor,
        day: Day,
        repairs_then: i64,
        lacking: &MissingAmounts,
    ) -> Result<Option<RepairedTotals>, DatabaseError> {
        // Every correction locks the revision's row.
        let mut transaction = self.store.begin_quiet().await?;
        if repairs(&mut transaction).await? != repairs_then {
            transaction.rollback().await?;
            return Ok(None);
        }
        let mut repaired = RepairedTotals::default();
        for row in lacking.rows.iter().filter(|row| row.totals.has_nodes()) {
            self.repair(&mut transaction, day, row).await?;
            repaired.count(row.totals.kind);
        }
        for charges in &lacking.charges {
            self.repair_charges(&mut transaction, day, charges).await?;
            match charges.of {
                ChargedScope::Plan(_) => repaired.plans += 1,
                ChargedScope::Subject(_) => repaired.subjects += 1,
            }
        }
        for row in lacking.rows.iter().filter(|row| !row.totals.has_nodes()) {
            self.repair(&mut transaction, day, row).await?;
            repaired.count(row.totals.kind);
        }
        // As ingest does when it changes a day that is over: reviews refer to a version of the figures.
        if day < self.store.clock().now().day() {
            let raise = transaction.query(RAISE_VERSION).bind(self.store.new_id()).bind(self.store.now());
            raise.bind(i64::from(day.0)).run().await?;
        }
        let RepairedTotals { keys, models, plans, subjects, hours, routes, labels } = repaired;
        let detail = json!({
            "day": day.to_string(), "keys": keys, "models": models, "plans": plans, "subjects": subjects, "hours": hours,
            "routes": routes, "labels": labels,
        });
        self.store
            .note(&mut transaction, by, Act::new(AuditAction::TotalsRepair, Uuid::nil(), None).with(detail))
            .await?;
        transaction.commit().await?;
        Ok(Some(repaired))
    }

    async fn repair(&self, tx: &mut Transaction, day: Day, row: &MissingAmountsRow) -> Result<(), DatabaseError> {
        let MissingAmountsRow { totals, user, part, lacks } = row;
        let text = format!("{}{}", totals.rows(), tx.kind().for_update());
        let query = tx.query(AssertSqlSafe(text)).bind(i64::from(day.0)).bind(user.0);
        let rows: Vec<NumberRowWithId> = part.iter().fold(query, |query, part| query.bind(*part)).all().await?;
        for (id, adds) in spread(&rows, lacks) {
            let add = tx.query(AssertSqlSafe(totals.add())).bind(id).bind(self.store.now());
            adds.into_iter().fold(add, |add, amount| add.bind(amount)).run().await?;
        }
        if rows.is_empty() {
            let insert = tx.query(AssertSqlSafe(totals.insert())).bind(self.store.new_id()).bind(self.store.now());
            let insert = insert.bind(i64::from(day.0)).bind(user.0);
            let insert = part.iter().fold(insert, |insert, part| insert.bind(*part));
            let insert = if totals.has_nodes() { insert.bind(NO_NODE) } else { insert };
            lacks.iter().fold(insert, |insert, lack| insert.bind(stored(*lack))).run().await?;
        }
        Ok(())
    }

    async fn repair_charges(
        &self,
        tx: &mut Transaction,
        day: Day,
        MissingCharges { of, lacks }: &MissingCharges,
    ) -> Result<(), DatabaseError> {
        let (id, [rows, add, insert]) = match *of {
            ChargedScope::Plan(PlanId(id)) => (id, [PLAN_ROWS, ADD_TO_PLAN, NEW_PLAN]),
            ChargedScope::Subject(SubjectId(id)) => (id, [SUBJECT_ROWS, ADD_TO_SUBJECT, NEW_SUBJECT]),
        };
        let text = format!("{rows}{}", tx.kind().for_update());
        let rows: Vec<NumberRowWithId> = tx.query(AssertSqlSafe(text)).bind(i64::from(day.0)).bind(id).all().await?;
        for (id, adds) in spread(&rows, lacks) {
            let add = tx.query(add).bind(id).bind(self.store.now());
            adds.into_iter().fold(add, |add, amount| add.bind(amount)).run().await?;
        }
        if rows.is_empty() {
            let insert = tx.query(insert).bind(self.store.new_id()).bind(self.store.now()).bind(i64::from(day.0));
            let insert = insert.bind(id).bind(NO_NODE);
            lacks.iter().fold(insert, |insert, lack| insert.bind(stored(*lack))).run().await?;
        }
        Ok(())
    }
}

/// Missing amounts in the totals of a day, for several users and subjects at a time, in one snapshot.
#[derive(PartialEq)]
struct MissingAmounts {
    rows: Vec<MissingAmountsRow>,
    /// Missing charges: of plans, then of subjects, each in the order of their ids.
    charges: Vec<MissingCharges>,
}

/// A scope whose charges have a table of totals.
#[derive(Debug, Clone, Copy, PartialEq)]
enum ChargedScope {
    Plan(PlanId),
    Subject(SubjectId),
}

/// The missing charges of one scope, in the order of [`PLAN_MEASURES`] or [`totals::SUBJECT_MEASURES`].
#[derive(PartialEq)]
struct MissingCharges {
    of: ChargedScope,
    lacks: Vec<i128>,
}

#[derive(PartialEq)]
struct MissingAmountsRow {
    totals: &'static TotalsTable,
    user: UserNo,
    part: Vec<i64>,
    lacks: Vec<i128>,
}

impl MissingAmounts {
    async fn read(tx: &mut Transaction, day: Day) -> Result<Self, DatabaseError> {
        let only = Days { first: day, last: day };
        let mut rows = Vec::new();
        for totals in totals::ALL {
            rows.extend(Self::rows(tx, totals, day).await?);
        }
        let mut charges = Vec::new();
        let of_ids = comparison::plans(tx, only, only.ids()).await?;
        if of_ids.values().any(|of| !comparison::differing_plans(of).is_empty()) {
            let all = comparison::plans(tx, only, [Uuid::nil(), Uuid::max()]).await?;
            let plans = all.get(&day).map(lacks_of_plans).unwrap_or_default();
            let of_plan = |(plan, lacks)| MissingCharges { of: ChargedScope::Plan(plan), lacks };
            charges.extend(plans.into_iter().map(of_plan));
        }
        let of_subject = |(subject, lacks)| MissingCharges { of: ChargedScope::Subject(subject), lacks };
        charges.extend(subjects::lacks(tx, day, SUBJECTS_MAX).await?.into_iter().map(of_subject));
        Ok(Self { rows, charges })
    }

    /// Returns the first rows with missing amounts. If none of the suspects has any, twice as many are read.
    async fn rows(
        tx: &mut Transaction,
        totals: &'static TotalsTable,
        day: Day,
    ) -> Result<Vec<MissingAmountsRow>, DatabaseError> {
        let only = Days { first: day, last: day };
        let mut rows = Vec::new();
        let mut asked = USERS_MAX;
        let mut known = 0;
        loop {
            let suspects = comparison::suspects(tx, totals, only, asked).await?;
            for (_, user) in suspects.iter().skip(known) {
                for (part, sides) in comparison::of_user(tx, totals, day, *user).await? {
                    let lacks: Vec<i128> = (0..totals.columns.len())
                        .map(|nth| {
                            let (expected, stored) = sides.column_sums(nth);
                            expected - stored
                        })
                        .collect();
                    if lacks.iter().any(|lack| *lack != 0) {
                        rows.push(MissingAmountsRow { totals, user: *user, part, lacks });
                    }
                }
                if rows.len() >= ROWS_MAX {
                    return Ok(rows);
                }
            }
            if !rows.is_empty() || suspects.len() < asked {
                return Ok(rows);
            }
            (known, asked) = (asked, asked.saturating_mul(2));
        }
    }
}

async fn repairs(tx: &mut Transaction) -> Result<i64, DatabaseError> {
    Ok(tx.query(REPAIRS).one::<(i64,)>().await?.0)
}

fn stored(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(if amount < 0 { i64::MIN } else { i64::MAX })
}

/// Returns the amounts to add to each row, by id. A missing amount goes to the first row; a surplus is subtracted from
/// as many rows as contain it.
fn spread(rows: &[NumberRowWithId], lacks: &[i128]) -> Vec<(Uuid, Vec<i64>)> {
    let mut left = lacks.to_vec();
    let mut adds = Vec::new();
    for (nth, row) in rows.iter().enumerate() {
        let mut to_row = Vec::with_capacity(left.len());
        for (column, left) in left.iter_mut().enumerate() {
            let has = i128::from(row.numbers.number(column).max(0));
            let amount = if *left < 0 {
                (*left).max(-has)
            } else if nth == 0 {
                *left
            } else {
                0
            };
            *left -= amount;
            to_row.push(stored(amount));
        }
        if to_row.iter().any(|amount| *amount != 0) {
            adds.push((row.id.unwrap_or_default(), to_row));
        }
    }
    adds
}

/// Returns the missing amounts in the totals of a day's plans, by plan. Credits of counts are attributed to the present
/// plan of their users, as long as the sum over all plans shows that some are missing or in surplus.
fn lacks_of_plans(of: &DayPlanSums) -> BTreeMap<PlanId, Vec<i128>> {
    let differing = comparison::differing_plans(of);
    let mut lacks: BTreeMap<PlanId, Vec<i128>> = BTreeMap::new();
    for differs in &differing {
        if let Some(plan) = differs.plan {
            let lacks = lacks.entry(plan).or_insert_with(|| vec![0; PLAN_MEASURES.len()]);
            if let Some(lack) = lacks.get_mut(differs.column) {
                *lack = differs.kept - differs.told;
            }
        }
    }
    if differing.iter().any(|differs| differs.column == 0) {
        let already = |plan: &PlanId, lacks: &BTreeMap<PlanId, Vec<i128>>| {
            lacks.get(plan).and_then(|lacks| lacks.first()).copied().unwrap_or(0)
        };
        // For each plan: the missing credits according to the present plans, and the surplus over the events after
        // earlier corrections.
        let mut plans: Vec<(PlanId, i128, i128)> = Vec::new();
        for (plan, of) in of {
            let [told, events, counts] = of.column_sums(0);
            plans.push((*plan, events + counts - told - already(plan, &lacks), told + already(plan, &lacks) - events));
        }
        let mut left: i128 = plans.iter().map(|(_, lack, _)| lack).sum();
        plans.sort_by_key(|(_, lack, _)| if left < 0 { *lack } else { -*lack });
        for (plan, lack, spare) in plans {
            let amount = if left < 0 { left.max(lack.min(0)).max(-spare) } else { left.min(lack.max(0)) };
            left -= amount;
            if amount != 0
                && let Some(credits) = lacks.entry(plan).or_insert_with(|| vec![0; PLAN_MEASURES.len()]).first_mut()
            {
                *credits += amount;
            }
        }
    }
    lacks
}

#[cfg(test)]
mod tests {
    use super::super::comparison::PlanSums;
    use super::super::row::NumberRow;
    use super::*;

    fn row(id: u128, numbers: &[i64]) -> NumberRowWithId {
        let numbers = NumberRow(numbers.iter().copied().map(Some).collect());
        NumberRowWithId { numbers, id: Some(Uuid::from_u128(id)) }
    }

    #[test]
    fn what_is_too_much_is_taken_from_rows_that_have_it_and_what_lacks_goes_to_the_first() {
        let rows = [row(1, &[10, 1]), row(2, &[5, 7])];
        let ids = [1, 2].map(Uuid::from_u128);
        assert_eq!(spread(&rows, &[3, 0]), [(ids[0], vec![3, 0])]);
        assert_eq!(spread(&rows, &[0, -6]), [(ids[0], vec![0, -1]), (ids[1], vec![0, -5])]);
        assert_eq!(spread(&rows, &[-12, 2]), [(ids[0], vec![-10, 2]), (ids[1], vec![-2, 0])]);
        assert_eq!(spread(&[], &[1]), []);
    }

    #[test]
    fn totals_of_plans_add_up_again() {
        let plan = |no: u128| PlanId(Uuid::from_u128(no));
        let of = |told: i128, events: i128, counts: i128| PlanSums {
            told: vec![told, 5, 6],
            events: vec![events, 5, 6],
            counts: vec![counts, 0, 0],
        };
        for plans in [
            [of(3, 3, 0), of(4, 4, 0)],
            [of(4, 3, 0), of(1, 4, 0)],
            [of(3, 3, 2), of(6, 4, 0)],
            [of(3, 3, 2), of(5, 4, 0)],
            [of(2, 3, 2), of(9, 4, 0)],
            [of(90, 3, 2), of(9, 4, 0)],
            [of(0, 3, 2), of(0, 4, 70)],
        ] {
            let mut plans: DayPlanSums = [plan(1), plan(2)].into_iter().zip(plans).collect();
            let lacks = lacks_of_plans(&plans);
            assert_eq!(lacks.is_empty(), comparison::differing_plans(&plans).is_empty());
            for (plan, lacks) in &lacks {
                comparison::add(&mut plans.get_mut(plan).unwrap().told, lacks);
            }
            assert_eq!(comparison::differing_plans(&plans), [], "{plans:?}");
        }
    }
}
