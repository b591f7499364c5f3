//! A budget and its period as columns, and the id of its budget account.

use access::{Day, KeyNo, Minute, PlanId, SubjectId, UserNo};
use meter::Period;
use meter::budgets::budget::{BudgetId, BudgetScope, LimitPeriod, Measure};
use meter::lease::CounterId;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::error::DatabaseError;
use crate::sql::unsigned;

/// The columns of a budget and its period.
#[derive(Debug, Clone, sqlx_macros::FromRow)]
pub struct BudgetPeriodRow {
    scope: String,
    scope_no: i64,
    scope_id: Option<Uuid>,
    measure: String,
    per: String,
    /// The first day, or the first minute of a window.
    first_day: i64,
}

impl BudgetPeriodRow {
    /// Converts the columns to a budget and period.
    pub fn cell(&self) -> Result<CounterId, DatabaseError> {
        let unreadable = |column| DatabaseError::Unreadable { table: "lease_books", column };
        let scope = match (self.scope.as_str(), self.scope_id) {
            ("key", _) => BudgetScope::Key(KeyNo(self.scope_no)),
            ("user", _) => BudgetScope::User(UserNo(self.scope_no)),
            ("subject", Some(subject)) => BudgetScope::Subject(SubjectId(subject)),
            ("plan", Some(plan)) => BudgetScope::Plan(PlanId(plan)),
            ("everybody", _) => BudgetScope::Global,
            _ => return Err(unreadable("scope")),
        };
        let measures = [Measure::Credits, Measure::Tokens, Measure::Money];
        let measure = measures.into_iter().find(|of| measure_word(*of) == self.measure);
        let budget = BudgetId {
            scope,
            measure: measure.ok_or_else(|| unreadable("measure"))?,
            per: LimitPeriod::parse(&self.per).ok_or_else(|| unreadable("per"))?,
        };
        let first = u32::try_from(unsigned(self.first_day)).map_err(|_| unreadable("first_day"))?;
        let begin = if budget.per.window().is_some() { Minute(first).start() } else { Day(first).start() };
        Ok(CounterId { budget, period: Period::containing(budget.per, begin) })
    }
}

impl From<CounterId> for BudgetPeriodRow {
    fn from(cell: CounterId) -> Self {
        let (scope, scope_no, scope_id) = scope_values(cell.budget.scope);
        Self {
            scope: scope.to_owned(),
            scope_no,
            scope_id,
            measure: measure_word(cell.budget.measure).to_owned(),
            per: cell.budget.per.to_string(),
            first_day: first(cell.period),
        }
    }
}

impl BudgetPeriodRow {
    /// Adds the values of a budget and period, in the order of the columns; `per` is the text of the period.
    pub fn put<'r>(CounterId { budget, period }: CounterId, per: &'r str, row: &mut crate::sql::Values<'r>) {
        let (scope, scope_no, scope_id) = scope_values(budget.scope);
        row.put(scope).put(scope_no).put(scope_id);
        row.put(measure_word(budget.measure)).put(per).put(first(period));
    }
}

/// Returns the word, the number and the id of a scope.
const fn scope_values(scope: BudgetScope) -> (&'static str, i64, Option<Uuid>) {
    match scope {
        BudgetScope::Key(no) => ("key", no.0, None),
        BudgetScope::User(no) => ("user", no.0, None),
        BudgetScope::Subject(id) => ("subject", 0, Some(id.0)),
        BudgetScope::Plan(id) => ("plan", 0, Some(id.0)),
        BudgetScope::Global => ("everybody", 0, None),
    }
}

const fn measure_word(measure: Measure) -> &'static str {
    match measure {
        Measure::Credits => "credits",
        Measure::Tokens => "tokens",
        Measure::Money => "money",
    }
}

/// Returns the first day of a period, or the first minute of a window.
fn first(period: Period) -> i64 {
    let is_window = period.per().window().is_some();
    i64::from(if is_window { period.begin().0 } else { period.first().0 })
}

/// Returns the id of a budget account: the first half of a hash of the budget and period, so that a list of ids finds
/// and locks accounts.
pub fn book_id(cell: CounterId) -> Uuid {
    let BudgetPeriodRow { scope, scope_no, scope_id, measure, per, first_day } = cell.into();
    let scope_id = scope_id.unwrap_or_default();
    id_of(&format!("{scope} {scope_no} {scope_id} {measure} {per} {first_day}"))
}

/// Returns the id of the window of a scope and a shape that is open on all nodes. Budgets of several measures share it.
#[must_use]
pub fn window_id(budget: BudgetId) -> Uuid {
    let (scope, scope_no, scope_id) = scope_values(budget.scope);
    let scope_id = scope_id.unwrap_or_default();
    id_of(&format!("window {scope} {scope_no} {scope_id} {}", budget.per))
}

/// Returns the first half of a hash as an id.
fn id_of(text: &str) -> Uuid {
    let mut first = [0; 16];
    first.iter_mut().zip(Sha256::digest(text)).for_each(|(to, from)| *to = from);
    Builder::from_custom_bytes(first).into_uuid()
}
