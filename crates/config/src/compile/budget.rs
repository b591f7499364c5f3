//! Compiles `budgets`, and the budgets of plans.

use crate::schema::traffic::{BudgetInput, BudgetsInput, PlanBudgetInput, TrafficInput};
use crate::snapshot::{BudgetDimension, BudgetLimit, Budgets, LimitPlaces};
use access::{Amount, Budget, Credits, Measure, Tokens};
use settings::error::{Code, Problem, ValueOrigin};
use settings::field::Entries;
use settings::section::{Location, SettingsReader};

const MEASURE: &str = "one of `money`, `credits` and `tokens`";

pub(super) fn budgets(reader: &SettingsReader<'_>, input: &BudgetsInput) -> Budgets {
    let mut taken = UsedBudgets::default();
    let mut limits = Vec::new();
    for BudgetInput { location, dimension, budget } in &input.limits.list {
        let budget = self::budget(reader, budget);
        if let Some(dimension) = dimension
            && let Some(budget) = budget
            && taken.take(reader, location, Some(dimension.value), budget)
        {
            limits.push(BudgetLimit { dimension: dimension.value, budget });
        }
    }
    Budgets {
        limits,
        unbounded: input.unbounded.value,
        clamp: input.clamp.value,
        server_tool_rounds: input.server_tool_rounds.value,
    }
}

/// Returns the positions of the plans and the budgets. An entry that is missing in the snapshot is an error, so the
/// positions are in the same order.
pub(super) fn limit_places(traffic: &TrafficInput) -> LimitPlaces {
    let place = |location: &Location| if location.is_given() { location.at.place() } else { None };
    let plans = traffic.plans.list.iter().map(|plan| place(&plan.location));
    let budgets = traffic.budgets.limits.list.iter().map(|budget| place(&budget.location));
    LimitPlaces { plans: plans.collect(), budgets: budgets.collect() }
}

/// Returns the budgets of each user of a plan.
pub(super) fn of_plan(reader: &SettingsReader<'_>, entries: &Entries<PlanBudgetInput>) -> Vec<Budget> {
    let mut taken = UsedBudgets::default();
    let budgets = entries
        .list
        .iter()
        .filter_map(|entry| budget(reader, entry).filter(|budget| taken.take(reader, &entry.location, None, *budget)));
    budgets.collect()
}

/// Returns the single measure of an entry, and its period.
fn budget(reader: &SettingsReader<'_>, entry: &PlanBudgetInput) -> Option<Budget> {
    let location = &entry.location;
    let mut given = Measure::ALL.into_iter().filter(|measure| location.has(measure.as_str()));
    let Some(measure) = given.next() else {
        location.missing(reader, &Measure::ALL.map(Measure::as_str));
        return None;
    };
    if given.next().is_some() {
        let message = format!("`{}` has more than one measure", location.path);
        reader.report(Problem::new(Code::BadValue, location.at, message).expected(MEASURE));
        return None;
    }
    let amount = match measure {
        Measure::Money => Amount::of_money(entry.money.as_ref()?.value),
        Measure::Credits => Amount::of_credits(Credits(entry.credits.as_ref()?.value)),
        Measure::Tokens => Amount::of_tokens(Tokens(entry.tokens.as_ref()?.value)),
    };
    Some(Budget { measure, per: entry.per.as_ref()?.value, amount })
}

/// The budgets of one list, and their positions.
#[derive(Default)]
struct UsedBudgets(Vec<(Option<BudgetDimension>, Budget, ValueOrigin)>);

impl UsedBudgets {
    /// Records a budget and reports a duplicate. Returns whether the budget is new.
    fn take(
        &mut self,
        reader: &SettingsReader<'_>,
        location: &Location,
        dimension: Option<BudgetDimension>,
        budget: Budget,
    ) -> bool {
        let Budget { measure, per, .. } = budget;
        let is_same =
            |of: Option<BudgetDimension>, other: &Budget| (of, other.measure, other.per) == (dimension, measure, per);
        let first = self.0.iter().find(|(of, other, _)| is_same(*of, other)).map(|(.., at)| *at);
        if first.is_none() {
            self.0.push((dimension, budget, location.at));
            return true;
        }
        let whose = dimension.map(|dimension| format!("{}: ", dimension.as_str())).unwrap_or_default();
        let message = format!("a duplicate limit ({whose}{} per {})", measure.as_str(), per.as_str());
        let expected = "one for each measure and period";
        reader.report(Problem::new(Code::Duplicate, location.at, message).expected(expected).first(first));
        false
    }
}
