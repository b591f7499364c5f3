//! Budgets: so much of a measure for a subject in a period. A daily quota of credits is one of them.

use serde::{Deserialize, Serialize};

use crate::id::{KeyNo, PlanId, UserNo};

/// Whom a budget holds. Their order is the order in which budgets are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// One key.
    Key(KeyNo),
    /// One user, over all of their keys.
    User(UserNo),
    /// Everybody on a plan together.
    Plan(PlanId),
    /// Everybody.
    Global,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Measure {
    /// What a request costs of a quota.
    Credits,
    /// Tokens of every class, summed.
    Tokens,
    /// Billionths of a US dollar.
    Money,
}

/// How long a budget's period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Per {
    /// A UTC day.
    Day,
    /// A month of UTC days.
    Month,
}

/// Which budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BudgetId {
    /// Whom it holds.
    pub subject: Subject,
    /// What it counts.
    pub measure: Measure,
    /// How long its period is.
    pub per: Per,
}

impl BudgetId {
    /// A quota: credits a day.
    #[must_use]
    pub const fn credits_a_day(subject: Subject) -> Self {
        Self { subject, measure: Measure::Credits, per: Per::Day }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_ordered_by_subject_measure_and_period() {
        let id = |subject, measure, per| BudgetId { subject, measure, per };
        let (key, user) = (Subject::Key(KeyNo(9)), Subject::User(UserNo(1)));
        let ordered = [
            id(key, Measure::Credits, Per::Day),
            id(key, Measure::Credits, Per::Month),
            id(key, Measure::Money, Per::Day),
            id(user, Measure::Tokens, Per::Month),
            id(Subject::Plan(PlanId::NIL), Measure::Credits, Per::Day),
            id(Subject::Global, Measure::Credits, Per::Day),
        ];
        assert!(ordered.is_sorted());
    }
}
