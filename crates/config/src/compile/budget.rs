//! Compiles `budgets`, and the budgets of plans.

use crate::schema::traffic::{
    BudgetInput, BudgetsInput, PlanBudgetInput, PlanInput, PlanQuotaInput, QuotaLength, QuotaStart, TrafficInput,
};
use crate::snapshot::{BudgetDimension, BudgetLimit, Budgets, LimitPlaces};
use access::{
    Amount, AnniversaryLength, Budget, BudgetWindow, CalendarUnit, Credits, LimitPeriod, Measure, Minute, NanoUsd,
    SubscriptionPeriod, Tokens, WeekStart,
};
use settings::error::{Code, Problem, ValueOrigin};
use settings::input::Input;
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

/// Returns the budgets and quotas of each user of a plan.
pub(super) fn of_plan(reader: &SettingsReader<'_>, plan: &PlanInput) -> Vec<Budget> {
    let mut taken = UsedBudgets::default();
    let budgets = plan.budgets.list.iter().map(|entry| (&entry.location, budget(reader, entry)));
    let quotas = plan.quotas.list.iter().map(|entry| (&entry.location, quota(reader, entry, plan)));
    let mut all = Vec::new();
    for (location, budget) in budgets.chain(quotas) {
        if let Some(budget) = budget
            && taken.take(reader, location, None, budget)
        {
            all.push(budget);
        }
    }
    all
}

/// Returns a quota as a budget. A calendar period in UTC is one of all budgets.
fn quota(reader: &SettingsReader<'_>, entry: &PlanQuotaInput, plan: &PlanInput) -> Option<Budget> {
    let zone = plan.timezone.value;
    let week_start = plan.week_start.value;
    let PlanQuotaInput { location, name, money, credits, tokens, per, from } = entry;
    let (measure, amount) = amount(reader, location, &GivenAmounts { money, credits, tokens })?;
    let per = match (per.as_ref()?.value, from.as_ref().map(|from| from.value)) {
        (QuotaLength::Minutes(minutes), None | Some(QuotaStart::FirstUse)) => {
            LimitPeriod::Window(BudgetWindow::FirstUse { minutes })
        }
        (QuotaLength::Calendar(CalendarUnit::Day), Some(QuotaStart::FirstUse)) => {
            LimitPeriod::Window(BudgetWindow::DAY)
        }
        (QuotaLength::Calendar(CalendarUnit::Week), Some(QuotaStart::FirstUse)) => {
            LimitPeriod::Window(BudgetWindow::WEEK)
        }
        (QuotaLength::Calendar(unit), None | Some(QuotaStart::Calendar))
            if zone.is_utc() && (unit != CalendarUnit::Week || week_start == WeekStart::Monday) =>
        {
            LimitPeriod::of_unit(unit)
        }
        (QuotaLength::Calendar(unit), None | Some(QuotaStart::Calendar)) => {
            LimitPeriod::Window(BudgetWindow::calendar(unit, zone, week_start))
        }
        (QuotaLength::Minutes(minutes), Some(QuotaStart::Subscription)) => {
            anniversary(AnniversaryLength::Minutes(minutes))
        }
        (QuotaLength::Calendar(CalendarUnit::Day), Some(QuotaStart::Subscription)) => {
            anniversary(AnniversaryLength::DAY)
        }
        (QuotaLength::Calendar(CalendarUnit::Week), Some(QuotaStart::Subscription)) => {
            anniversary(AnniversaryLength::WEEK)
        }
        (QuotaLength::Calendar(CalendarUnit::Month), Some(QuotaStart::Subscription)) => {
            anniversary(AnniversaryLength::Month)
        }
        (QuotaLength::Period, None | Some(QuotaStart::Subscription)) => {
            LimitPeriod::Window(BudgetWindow::Period(SubscriptionPeriod::CALENDAR_MONTHS))
        }
        (QuotaLength::Period, Some(QuotaStart::FirstUse | QuotaStart::Calendar)) => {
            let message = format!("`{}` is a paid period, which begins with the subscription", location.path);
            let problem = Problem::new(Code::BadValue, location.at, message);
            reader.report(problem.expected("`per: period` without `from`"));
            return None;
        }
        (QuotaLength::Minutes(_), Some(QuotaStart::Calendar)) => {
            let message = format!("`{}` has a length that no calendar has", location.path);
            let problem = Problem::new(Code::BadValue, location.at, message);
            reader.report(problem.expected("`from: first_use`, or `per` of `day`, `week` or `month`"));
            return None;
        }
        (QuotaLength::Calendar(CalendarUnit::Month), Some(QuotaStart::FirstUse)) => {
            let message = format!("`{}` is a month, whose length differs", location.path);
            let problem = Problem::new(Code::BadValue, location.at, message);
            reader.report(problem.expected("a number of days such as `per: 30d`, or `from: calendar`"));
            return None;
        }
    };
    Some(Budget { name: name.as_ref().map(|name| name.value), ..Budget::new(measure, per, amount) })
}

/// Returns a window that repeats from the subscription on; that of each user is known later.
const fn anniversary(length: AnniversaryLength) -> LimitPeriod {
    LimitPeriod::Window(BudgetWindow::Anniversary { length, since: Minute(0) })
}

/// Returns the single measure of an entry, and its period.
fn budget(reader: &SettingsReader<'_>, entry: &PlanBudgetInput) -> Option<Budget> {
    let PlanBudgetInput { location, money, credits, tokens, per } = entry;
    let (measure, amount) = amount(reader, location, &GivenAmounts { money, credits, tokens })?;
    Some(Budget::new(measure, per.as_ref()?.value, amount))
}

/// The measures of an entry, of which one is given.
struct GivenAmounts<'a> {
    money: &'a Option<Input<NanoUsd>>,
    credits: &'a Option<Input<u64>>,
    tokens: &'a Option<Input<u64>>,
}

/// Returns the single measure of an entry with its amount.
fn amount(
    reader: &SettingsReader<'_>,
    location: &Location,
    GivenAmounts { money, credits, tokens }: &GivenAmounts<'_>,
) -> Option<(Measure, Amount)> {
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
        Measure::Money => Amount::of_money(money.as_ref()?.value),
        Measure::Credits => Amount::of_credits(Credits::whole(credits.as_ref()?.value)),
        Measure::Tokens => Amount::of_tokens(Tokens(tokens.as_ref()?.value)),
    };
    Some((measure, amount))
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
        let namesake = budget.name.and_then(|name| {
            let first = self.0.iter().find(|(_, other, _)| other.name == Some(name))?;
            Some((name, first.2))
        });
        if let Some((name, first)) = namesake {
            let problem = Problem::new(Code::Duplicate, location.at, format!("a second quota is called `{name}`"));
            reader.report(problem.expected("another name for each quota of a plan").first(Some(first)));
            return false;
        }
        let first = self.0.iter().find(|(of, other, _)| is_same(*of, other)).map(|(.., at)| *at);
        if first.is_none() {
            self.0.push((dimension, budget, location.at));
            return true;
        }
        let whose = dimension.map(|dimension| format!("{}: ", dimension.as_str())).unwrap_or_default();
        let message = format!("a duplicate limit ({whose}{} per {})", measure.as_str(), per);
        let expected = "one for each measure and period";
        reader.report(Problem::new(Code::Duplicate, location.at, message).expected(expected).first(first));
        false
    }
}
