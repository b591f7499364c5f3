//! Budgets: the maximum of a measure for a scope in a period. A daily quota of credits is a budget.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::amounts::amount::{Amount, Credits};
use crate::amounts::usd;
use crate::id::{KeyNo, PlanId, UserNo};
use crate::limits::quota_name::QuotaName;
use crate::limits::subscription_window::SubscriptionDates;
use crate::limits::window::{BudgetWindow, CalendarUnit, WeekStart, Zone};
use crate::people::subject_id::SubjectId;

/// The scope of a budget. Budgets are checked in the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BudgetScope {
    /// One key, by its number.
    Key(KeyNo),
    /// One user with all of their keys.
    User(UserNo),
    /// One subject without a user, such as that of an access token.
    Subject(SubjectId),
    /// All users of a plan together.
    Plan(PlanId),
    /// All users of Tollgate together.
    Global,
}

/// The unit of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Micro-credits of routes, models and tokens. Limits are whole credits.
    Credits,
    /// Tokens of all classes, added up.
    Tokens,
    /// Billionths of a US dollar.
    Money,
}

/// The period of a budget. In JSON it is the text of [`LimitPeriod::parse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitPeriod {
    /// One day in UTC.
    Day,
    /// Seven days in UTC, from Monday on.
    Week,
    /// One calendar month in UTC.
    Month,
    /// A window with another beginning or length.
    Window(BudgetWindow),
}

/// Identifies a budget by scope, measure and period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BudgetId {
    /// The scope of the budget.
    pub scope: BudgetScope,
    /// The unit of the budget.
    pub measure: Measure,
    /// The period of the budget.
    pub per: LimitPeriod,
}

impl BudgetScope {
    /// Returns whether several users share the budget, so that it limits the operator's money and not that of a user's own
    /// credential.
    #[must_use]
    pub const fn is_pooled(self) -> bool {
        match self {
            Self::Key(_) | Self::User(_) | Self::Subject(_) => false,
            Self::Plan(_) | Self::Global => true,
        }
    }
}

impl BudgetId {
    /// Returns the id of a daily quota of credits.
    #[must_use]
    pub const fn credits_a_day(scope: BudgetScope) -> Self {
        Self { scope, measure: Measure::Credits, per: LimitPeriod::Day }
    }
}

impl Measure {
    /// All measures, in order.
    pub const ALL: [Self; 3] = [Self::Credits, Self::Tokens, Self::Money];

    /// Parses the text that [`as_str`](Self::as_str) returns.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// The spelling in the configuration, the store and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credits => "credits",
            Self::Tokens => "tokens",
            Self::Money => "money",
        }
    }

    /// Returns whether a budget of this measure and period is called a quota: credits of a day or a window.
    #[must_use]
    pub const fn is_quota_per(self, per: LimitPeriod) -> bool {
        matches!(self, Self::Credits) && matches!(per, LimitPeriod::Day | LimitPeriod::Window(_))
    }

    /// Returns the limit of this number of credits, tokens or nano-USD: the units of the configuration, of the API and of
    /// stored limits.
    #[must_use]
    pub const fn limit_of(self, units: u64) -> Amount {
        match self {
            Self::Credits => Amount::of_credits(Credits::whole(units)),
            Self::Tokens | Self::Money => Amount(units),
        }
    }

    /// Returns the number of credits, tokens or nano-USD of a limit. Credits are rounded down.
    #[must_use]
    pub const fn units_of(self, limit: Amount) -> u64 {
        match self {
            Self::Credits => limit.credits().rounded_down(),
            Self::Tokens | Self::Money => limit.0,
        }
    }

    /// Formats an amount for people: `5 USD`, `100 credits`, `0.25 credits`.
    #[must_use]
    pub fn written(self, amount: Amount) -> String {
        match self {
            Self::Credits => format!("{} {}", amount.credits(), self.as_str()),
            Self::Tokens => format!("{} {}", amount.0, self.as_str()),
            Self::Money => usd::written_money(amount.money()),
        }
    }
}

impl LimitPeriod {
    /// The periods in UTC, in order.
    pub const UTC: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// Parses the text that `to_string` returns: `day`, `week`, `month`, or a [`BudgetWindow`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match CalendarUnit::parse(text) {
            Some(unit) => Some(Self::of_unit(unit)),
            None => BudgetWindow::parse(text).map(Self::Window),
        }
    }

    /// Returns the period of these words of the configuration: `per` is a length, `from` its begin, and `zone` that of calendar
    /// periods. `None` for words that do not fit.
    #[must_use]
    pub fn of_words(per: &str, from: Option<&str>, zone: Zone) -> Option<Self> {
        let window = match (CalendarUnit::parse(per), from) {
            (Some(unit), None | Some("calendar")) if zone.is_utc() => return Some(Self::of_unit(unit)),
            (Some(unit), None | Some("calendar")) => Some(BudgetWindow::calendar(unit, zone, WeekStart::Monday)),
            (Some(CalendarUnit::Day), Some("first_use")) => Some(BudgetWindow::DAY),
            (Some(CalendarUnit::Week), Some("first_use")) => Some(BudgetWindow::WEEK),
            (None, None | Some("subscription")) if per == "period" => BudgetWindow::parse(per),
            (None, None) => BudgetWindow::parse(&format!("{per}/first_use")),
            (_, Some(from @ ("first_use" | "subscription"))) => BudgetWindow::parse(&format!("{per}/{from}")),
            (_, Some(_)) => None,
        };
        window.map(Self::Window)
    }

    /// Returns the period in UTC.
    #[must_use]
    pub const fn of_unit(unit: CalendarUnit) -> Self {
        match unit {
            CalendarUnit::Day => Self::Day,
            CalendarUnit::Week => Self::Week,
            CalendarUnit::Month => Self::Month,
        }
    }

    /// Returns the length in minutes; of a month, that of 30 days.
    #[must_use]
    pub const fn usual_minutes(self) -> u32 {
        match self {
            Self::Day => CalendarUnit::Day.usual_minutes(),
            Self::Week => CalendarUnit::Week.usual_minutes(),
            Self::Month => CalendarUnit::Month.usual_minutes(),
            Self::Window(window) => window.usual_minutes(),
        }
    }

    /// Returns `daily`, `weekly` or `monthly`: the first that is as long as the period, or the last.
    #[must_use]
    pub const fn adverb(self) -> &'static str {
        let minutes = self.usual_minutes();
        if minutes <= CalendarUnit::Day.usual_minutes() {
            "daily"
        } else if minutes <= CalendarUnit::Week.usual_minutes() {
            "weekly"
        } else {
            "monthly"
        }
    }

    /// Returns the period of a user with these dates, of the period of a plan's budget.
    #[must_use]
    pub const fn for_subscriber(self, dates: SubscriptionDates) -> Self {
        match self {
            Self::Day | Self::Week | Self::Month => self,
            Self::Window(window) => Self::Window(window.for_subscriber(dates)),
        }
    }

    /// Returns the period as a plan has it, before a user is known.
    #[must_use]
    pub const fn of_plan(self) -> Self {
        match self {
            Self::Day | Self::Week | Self::Month => self,
            Self::Window(window) => Self::Window(window.of_plan()),
        }
    }

    /// Returns whether the period depends on the subscription of the user.
    #[must_use]
    pub const fn is_of_subscription(self) -> bool {
        match self {
            Self::Day | Self::Week | Self::Month => false,
            Self::Window(window) => window.is_of_subscription(),
        }
    }

    /// Returns the window, if the period is no UTC day, week or month.
    #[must_use]
    pub const fn window(self) -> Option<BudgetWindow> {
        match self {
            Self::Day | Self::Week | Self::Month => None,
            Self::Window(window) => Some(window),
        }
    }
}

impl fmt::Display for LimitPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day => f.write_str(CalendarUnit::Day.as_str()),
            Self::Week => f.write_str(CalendarUnit::Week.as_str()),
            Self::Month => f.write_str(CalendarUnit::Month.as_str()),
            Self::Window(window) => window.fmt(f),
        }
    }
}

impl Serialize for LimitPeriod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LimitPeriod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format_args!("`{text}` is no period of a budget")))
    }
}

/// The maximum of a measure in a period, without a scope. In JSON, its amount is a number of credits, tokens or nano-USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "StoredBudget", into = "StoredBudget")]
pub struct Budget {
    /// The unit of the budget.
    pub measure: Measure,
    /// The period of the budget.
    pub per: LimitPeriod,
    /// The maximum amount; 0 admits only requests without a cost. An amount of credits is whole.
    pub amount: Amount,
    /// The name that the operator gives it; without one, its measure and period are its name.
    pub name: Option<QuotaName>,
}

/// A budget in the units of the store: see [`Measure::limit_of`].
#[derive(Debug, Serialize, Deserialize)]
struct StoredBudget {
    measure: Measure,
    per: LimitPeriod,
    amount: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<QuotaName>,
}

impl From<StoredBudget> for Budget {
    fn from(StoredBudget { measure, per, amount, name }: StoredBudget) -> Self {
        Self { measure, per, amount: measure.limit_of(amount), name }
    }
}

impl From<Budget> for StoredBudget {
    fn from(Budget { measure, per, amount, name }: Budget) -> Self {
        Self { measure, per, amount: measure.units_of(amount), name }
    }
}

impl Budget {
    /// The largest amount that the store's integers can represent, in micro-credits, tokens or nano-USD.
    pub const AMOUNT_MAX: Amount = Amount(i64::MAX.unsigned_abs());

    /// Maximum number of windows of a plan, and of those that a user has besides.
    pub const WINDOWS_MAX: usize = 8;

    /// Returns a budget without a name.
    #[must_use]
    pub const fn new(measure: Measure, per: LimitPeriod, amount: Amount) -> Self {
        Self { measure, per, amount, name: None }
    }

    /// Returns a daily quota of credits.
    #[must_use]
    pub const fn quota(credits: Credits) -> Self {
        Self::new(Measure::Credits, LimitPeriod::Day, Amount::of_credits(credits))
    }

    /// Returns the budget of a user with these dates, of the budget of a plan.
    #[must_use]
    pub const fn for_subscriber(self, dates: SubscriptionDates) -> Self {
        Self { per: self.per.for_subscriber(dates), ..self }
    }

    /// Returns the budget as a plan has it, before a user is known.
    #[must_use]
    pub const fn of_plan(self) -> Self {
        Self { per: self.per.of_plan(), ..self }
    }

    /// Returns the id and the amount of this budget for `scope`.
    #[must_use]
    pub const fn id_and_amount(self, scope: BudgetScope) -> (BudgetId, Amount) {
        (BudgetId { scope, measure: self.measure, per: self.per }, self.amount)
    }

    /// Whether these budgets are valid for one scope: sorted, each measure and period and each name at most once, no amount
    /// above the maximum, and not too many windows.
    #[must_use]
    pub fn are_fit(budgets: &[Self]) -> bool {
        let names: Vec<QuotaName> = budgets.iter().filter_map(|budget| budget.name).collect();
        budgets.is_sorted_by(|a, b| (a.measure, a.per) < (b.measure, b.per))
            && budgets.iter().all(|budget| budget.amount <= Self::AMOUNT_MAX)
            && names.iter().collect::<BTreeSet<_>>().len() == names.len()
            && budgets.iter().filter(|budget| budget.per.window().is_some()).count() <= Self::WINDOWS_MAX
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self.measure.written(self.amount);
        match self.per {
            LimitPeriod::Window(window @ BudgetWindow::FirstUse { .. }) => {
                write!(f, "{amount} per {} from first use", window.per())
            }
            LimitPeriod::Window(BudgetWindow::Calendar { unit, zone, week_start: WeekStart::Monday }) => {
                write!(f, "{amount} a {} in {}", unit.as_str(), zone.name())
            }
            LimitPeriod::Window(BudgetWindow::Calendar { unit, zone, week_start }) => {
                write!(f, "{amount} a {} from {} in {}", unit.as_str(), week_start.name(), zone.name())
            }
            LimitPeriod::Window(window @ BudgetWindow::Anniversary { .. }) => {
                write!(f, "{amount} per {} of the subscription", window.per())
            }
            LimitPeriod::Window(BudgetWindow::Period(_)) => write!(f, "{amount} per period of the subscription"),
            LimitPeriod::Day | LimitPeriod::Week | LimitPeriod::Month => write!(f, "{amount} a {}", self.per),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_of_one_scope_are_in_order_and_each_once() {
        let budget = |measure: Measure, per, units| Budget::new(measure, per, measure.limit_of(units));
        let credits = budget(Measure::Credits, LimitPeriod::Month, 5);
        let money = budget(Measure::Money, LimitPeriod::Day, 12_500_000_000);
        assert!(Budget::are_fit(&[]) && Budget::are_fit(&[credits, money]));
        assert!(!Budget::are_fit(&[money, credits]));
        assert!(!Budget::are_fit(&[money, Budget { amount: Amount(money.amount.0 + 1), ..money }]));
        assert!(!Budget::are_fit(&[Budget { amount: Amount(Budget::AMOUNT_MAX.0 + 1), ..money }]));
        assert_eq!((credits.to_string(), money.to_string()), ("5 credits a month".into(), "12.5 USD a day".into()));
    }

    #[test]
    fn budgets_of_windows_are_told_and_stored_with_their_windows() {
        let per = LimitPeriod::Window(BudgetWindow::first_use(300).unwrap());
        let session = Budget::new(Measure::Credits, per, Measure::Credits.limit_of(400));
        assert_eq!(session.to_string(), "400 credits per 5h from first use");
        let week = Budget { per: LimitPeriod::parse("week/Asia/Jakarta").unwrap(), ..session };
        assert_eq!(week.to_string(), "400 credits a week in Asia/Jakarta");
        let stored = serde_json::to_string(&[session, week]).unwrap();
        assert!(
            stored.contains(r#""per":"5h/first_use","amount":400}"#) && stored.contains(r#""per":"week/Asia/Jakarta""#),
            "{stored}"
        );
        assert_eq!(serde_json::from_str::<Vec<Budget>>(&stored).unwrap(), [session, week]);
        let named = Budget { name: QuotaName::parse("session"), ..session };
        let stored = serde_json::to_string(&named).unwrap();
        assert!(stored.ends_with(r#""name":"session"}"#), "{stored}");
        assert_eq!(serde_json::from_str::<Budget>(&stored).unwrap(), named);
        assert!(Budget::are_fit(&[named, week]) && !Budget::are_fit(&[named, Budget { name: named.name, ..week }]));
        assert!(serde_json::from_str::<LimitPeriod>("\"year\"").is_err());
        assert_eq!(serde_json::to_string(&LimitPeriod::Month).unwrap(), "\"month\"");
    }

    #[test]
    fn budgets_are_ordered_by_scope_measure_and_period() {
        let id = |scope, measure, per| BudgetId { scope, measure, per };
        let key = BudgetScope::Key(KeyNo(9));
        let user = BudgetScope::User(UserNo(1));
        let ordered = [
            id(key, Measure::Credits, LimitPeriod::Day),
            id(key, Measure::Credits, LimitPeriod::Month),
            id(key, Measure::Money, LimitPeriod::Day),
            id(user, Measure::Tokens, LimitPeriod::Month),
            id(BudgetScope::Plan(PlanId::NIL), Measure::Credits, LimitPeriod::Day),
            id(BudgetScope::Global, Measure::Credits, LimitPeriod::Day),
        ];
        assert!(ordered.is_sorted());
    }
}
