//! Budgets: so much of a measure for a subject in a period. A daily quota of credits is one of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{KeyNo, PlanId, UserNo};
use crate::usd;

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
#[serde(rename_all = "snake_case")]
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
#[serde(rename_all = "snake_case")]
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

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 3] = [Self::Credits, Self::Tokens, Self::Money];

    /// What [`as_str`](Self::as_str) says.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// The word in the configuration, the store and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credits => "credits",
            Self::Tokens => "tokens",
            Self::Money => "money",
        }
    }

    /// So much of it, for people: `5 USD`, `100 credits`.
    #[must_use]
    pub fn written(self, amount: u64) -> String {
        match self {
            Self::Credits | Self::Tokens => format!("{amount} {}", self.as_str()),
            Self::Money => usd::written_money(amount),
        }
    }
}

impl Per {
    /// Every period.
    pub const ALL: [Self; 2] = [Self::Day, Self::Month];

    /// What [`as_str`](Self::as_str) says.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// The word in the configuration, the store and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// How much of a measure a period holds, of whomever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Budget {
    /// What it counts.
    pub measure: Measure,
    /// How long its period is.
    pub per: Per,
    /// How much; nothing admits only what costs nothing.
    pub amount: u64,
}

impl Budget {
    /// The largest amount: what the store's integers hold.
    pub const AMOUNT_MAX: u64 = i64::MAX.unsigned_abs();

    /// That of `subject`.
    #[must_use]
    pub const fn of(self, subject: Subject) -> (BudgetId, u64) {
        (BudgetId { subject, measure: self.measure, per: self.per }, self.amount)
    }

    /// Whether these can be one subject's: in their order, each measure and period once, none too large.
    #[must_use]
    pub fn are_fit(budgets: &[Self]) -> bool {
        budgets.is_sorted_by(|a, b| (a.measure, a.per) < (b.measure, b.per))
            && budgets.iter().all(|budget| budget.amount <= Self::AMOUNT_MAX)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} a {}", self.measure.written(self.amount), self.per.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_of_one_subject_are_in_order_and_each_once() {
        let budget = |measure, per, amount| Budget { measure, per, amount };
        let credits = budget(Measure::Credits, Per::Month, 5);
        let money = budget(Measure::Money, Per::Day, 12_500_000_000);
        assert!(Budget::are_fit(&[]) && Budget::are_fit(&[credits, money]));
        assert!(!Budget::are_fit(&[money, credits]));
        assert!(!Budget::are_fit(&[money, Budget { amount: money.amount + 1, ..money }]));
        assert!(!Budget::are_fit(&[Budget { amount: Budget::AMOUNT_MAX + 1, ..money }]));
        assert_eq!((credits.to_string(), money.to_string()), ("5 credits a month".into(), "12.5 USD a day".into()));
    }

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
