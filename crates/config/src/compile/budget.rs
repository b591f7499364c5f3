//! Compiles `budgets`, and the budgets of plans.

use access::usd::{self, UsdError};
use access::{Budget, Measure, Per};

use crate::error::{At, Code, Problem};
use crate::grammar;
use crate::section::Section;
use crate::snapshot::{BudgetDimension, BudgetLimit, Budgets, QuotaStatus, Unbounded};

/// Maximum number of rounds, more than any provider runs for one request.
const SERVER_TOOL_ROUNDS_MAX: u64 = 1_000;

const MEASURE: &str = "one of `money`, `credits` and `tokens`";

pub(super) fn budgets(root: &Section<'_>) -> Budgets {
    let mut budgets = Budgets::default();
    let Some(section) = root.section("budgets", &grammar::BUDGETS) else { return budgets };
    let words = [("refuse", Unbounded::Refuse), ("window", Unbounded::Window)];
    budgets.unbounded = section.word("unbounded", &words).unwrap_or(budgets.unbounded);
    budgets.clamp = section.boolean("clamp").unwrap_or(budgets.clamp);
    let rounds = section.whole("server_tool_rounds", 1..=SERVER_TOOL_ROUNDS_MAX);
    budgets.server_tool_rounds = rounds.unwrap_or(budgets.server_tool_rounds);
    let mut taken = UsedBudgets::default();
    for entry in section.sections("limits", &grammar::BUDGET) {
        let dimensions = BudgetDimension::ALL.map(|dimension| (dimension.as_str(), dimension));
        entry.required("dimension");
        if let (Some(dimension), Some(budget)) = (entry.word("dimension", &dimensions), budget(&entry))
            && taken.take(&entry, Some(dimension), budget)
        {
            budgets.limits.push(BudgetLimit { dimension, budget });
        }
    }
    budgets
}

pub(super) fn quota_status(root: &Section<'_>) -> QuotaStatus {
    let words = QuotaStatus::ALL.map(|status| (status.as_str(), status));
    root.word("quota_status", &words).unwrap_or(QuotaStatus::TooManyRequests)
}

/// Returns the budgets of each user of a plan.
pub(super) fn of_plan(plan: &Section<'_>) -> Vec<Budget> {
    let mut taken = UsedBudgets::default();
    let entries = plan.sections("budgets", &grammar::PLAN_BUDGET);
    let budgets = entries.filter_map(|entry| budget(&entry).filter(|budget| taken.take(&entry, None, *budget)));
    budgets.collect()
}

/// Returns the single measure of an entry, and its period.
fn budget(entry: &Section<'_>) -> Option<Budget> {
    let pers = Per::ALL.map(|per| (per.as_str(), per));
    entry.required("per");
    let per = entry.word("per", &pers);
    let mut given = Measure::ALL.into_iter().filter(|measure| entry.get(measure.as_str()).is_some());
    let Some(measure) = given.next() else {
        entry.missing_one_of(&Measure::ALL.map(Measure::as_str));
        return None;
    };
    if given.next().is_some() {
        let message = format!("`{}` has more than one measure", entry.name("").trim_end_matches('.'));
        entry.reader().report(Problem::new(Code::BadValue, entry.at, message).expected(MEASURE));
        return None;
    }
    let amount = match measure {
        Measure::Money => money(entry),
        Measure::Credits | Measure::Tokens => entry.whole(measure.as_str(), 0..=Budget::AMOUNT_MAX),
    };
    Some(Budget { measure, per: per?, amount: amount? })
}

fn money(entry: &Section<'_>) -> Option<u64> {
    let key = Measure::Money.as_str();
    let text = entry.text(key)?;
    let amount = usd::parse_money(&text.value);
    let amount = amount.and_then(|nano| if nano > Budget::AMOUNT_MAX { Err(UsdError::TooLarge) } else { Ok(nano) });
    amount.inspect_err(|error| entry.bad(text.at, key, error)).ok()
}

/// The budgets of one list, and their positions.
#[derive(Default)]
struct UsedBudgets(Vec<(Option<BudgetDimension>, Budget, At)>);

impl UsedBudgets {
    /// Records a budget and reports a duplicate. Returns whether the budget is new.
    fn take(&mut self, entry: &Section<'_>, dimension: Option<BudgetDimension>, budget: Budget) -> bool {
        let Budget { measure, per, .. } = budget;
        let is_same =
            |of: Option<BudgetDimension>, other: &Budget| (of, other.measure, other.per) == (dimension, measure, per);
        let first = self.0.iter().find(|(of, other, _)| is_same(*of, other)).map(|(.., at)| *at);
        if first.is_none() {
            self.0.push((dimension, budget, entry.at));
            return true;
        }
        let whose = dimension.map(|dimension| format!("{}: ", dimension.as_str())).unwrap_or_default();
        let message = format!("a duplicate limit ({whose}{} per {})", measure.as_str(), per.as_str());
        let expected = "one for each measure and period";
        entry.reader().report(Problem::new(Code::Duplicate, entry.at, message).expected(expected).first(first));
        false
    }
}
