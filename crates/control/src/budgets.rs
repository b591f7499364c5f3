//! Budgets as the API shows them: whom each holds, how much there is of it, and how far it is used.

use access::{Budget, BudgetId, Day, KeyId, KeyNo, Measure, PlanId, Role, usd};
use config::snapshot::{BudgetDimension, BudgetLimit};
use meter::budget::Period;
use serde::Serialize;
use store::{EVERYBODY, StoredBudget};
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::figures::Cost;
use crate::moment::rfc3339;
use crate::problem::Problem;
use crate::state::State;
use crate::subject::Subject;
use crate::words::{DimensionWord, PerWord, SourceWord};

/// What stands for everybody's id, as in the path of the budget.
pub(crate) const GLOBAL: &str = "-";

/// A budget and its use. Exactly one of `money`, `credits` and `tokens` is present: it is the measure and its value is the amount.
/// For callers that are not admins, the amounts of budgets that several users share (`plan`, `global`) are null.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Budget)]
pub(crate) struct Shown {
    /// Whom it holds.
    #[schema(value_type = DimensionWord)]
    dimension: &'static str,
    /// The id of the key, the user or the plan, `-` for everybody; null where it holds each one of the dimension by itself.
    id: Option<String>,
    /// The key's label, the user's address or the plan's name, where a list of all budgets names it.
    name: Option<String>,
    /// Its period: a day or a month of UTC.
    #[schema(value_type = PerWord)]
    per: &'static str,
    /// What calls may cost.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    money: Option<Visible<String>>,
    /// Credits of the quota.
    #[schema(value_type = Option<u64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    credits: Option<Visible<u64>>,
    /// Tokens of every class, summed.
    #[schema(value_type = Option<u64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Visible<u64>>,
    /// The part in use, including reservations of requests in flight. Null if `id` is null or the amount is null.
    used: Option<Amount>,
    /// The rest, at least 0. Null if `id` is null or the amount is null.
    remaining: Option<Amount>,
    /// When it is whole again.
    #[schema(format = DateTime)]
    resets_at: String,
    /// Who set it.
    #[schema(value_type = SourceWord)]
    source: &'static str,
}

/// An amount, or null if the caller may not see it. The field is present in both cases, because its name is the measure.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Visible<T>(Option<T>);

/// So many credits or tokens, or an amount of money.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = BudgetAmount)]
pub(crate) enum Amount {
    Count(u64),
    Money(Cost),
}

/// Who set a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Configuration,
    Api,
    Plan,
    Key,
}

/// A question for the budgets that apply to a user, and to one of its keys.
#[derive(Debug)]
pub(crate) struct BudgetQuery<'a> {
    /// The one who asks. Amounts that several users share are shown to admins alone.
    pub(crate) caller: &'a Caller,
    pub(crate) subject: &'a Subject,
    pub(crate) key: Option<OfKey>,
}

/// A key whose budgets are shown beside its user's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfKey {
    pub(crate) id: KeyId,
    pub(crate) no: KeyNo,
    /// Its own quota.
    pub(crate) credits_per_day: Option<u64>,
}

impl OfKey {
    /// The key that calls, where its own user's budgets are shown.
    pub(crate) fn of(caller: &Caller, subject: &Subject) -> Option<Self> {
        let key = caller.key().filter(|key| key.user == subject.user)?;
        Some(Self { id: key.key, no: key.key_no, credits_per_day: key.bounds.credits_per_day })
    }
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Api => "api",
            Self::Plan => "plan",
            Self::Key => "key",
        }
    }
}

impl Amount {
    fn of(measure: Measure, amount: u64) -> Self {
        match measure {
            Measure::Credits | Measure::Tokens => Self::Count(amount),
            // Budgets end where the store's integers do, and so does what is used of them.
            Measure::Money => Self::Money(Cost::of(access::NanoUsd(i64::try_from(amount).unwrap_or(i64::MAX)))),
        }
    }
}

impl Shown {
    fn new((dimension, id): (BudgetDimension, Option<String>), budget: Budget, (source, day): (Source, Day)) -> Self {
        let Budget { measure, per, amount } = budget;
        let of = |wanted| (measure == wanted).then_some(Visible(Some(amount)));
        Self {
            dimension: dimension.as_str(),
            id,
            name: None,
            per: per.as_str(),
            money: of(Measure::Money).map(|Visible(amount)| Visible(amount.map(usd::written_money))),
            credits: of(Measure::Credits),
            tokens: of(Measure::Tokens),
            used: None,
            remaining: None,
            resets_at: rfc3339(Period::of(per, day).end()),
            source: source.as_str(),
        }
    }

    fn using(self, budget: Budget, used: u64) -> Self {
        let remaining = Amount::of(budget.measure, budget.amount.saturating_sub(used));
        Self { used: Some(Amount::of(budget.measure, used)), remaining: Some(remaining), ..self }
    }

    /// The same budget without its amount: the scope, the measure and the period stay.
    fn without_amount(self) -> Self {
        let [credits, tokens] = [self.credits, self.tokens].map(|amount| amount.map(|_| Visible(None)));
        Self { money: self.money.map(|_| Visible(None)), credits, tokens, used: None, remaining: None, ..self }
    }

    /// A budget that was set over the API or by a command.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn stored(state: &State, stored: StoredBudget, day: Day) -> Result<Self, Problem> {
        let StoredBudget { id: _, subject, subject_id, name, budget } = stored;
        let (dimension, id) = match subject {
            access::Subject::Key(_) => (BudgetDimension::Key, subject_id.to_string()),
            access::Subject::User(_) => (BudgetDimension::User, subject_id.to_string()),
            access::Subject::Plan(_) => (BudgetDimension::Plan, subject_id.to_string()),
            access::Subject::Global => (BudgetDimension::Global, GLOBAL.to_owned()),
        };
        let used = used(state, budget.of(subject).0, day).await?;
        let shown = Self::new((dimension, Some(id)), budget, (Source::Api, day)).using(budget, used);
        Ok(Self { name: Some(name).filter(|name| !name.is_empty()), ..shown })
    }

    /// A budget of the configuration. What each key, user or plan has used of it by itself is not one figure.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn configured(state: &State, limit: &BudgetLimit, day: Day) -> Result<Self, Problem> {
        let BudgetLimit { dimension, budget } = *limit;
        if dimension != BudgetDimension::Global {
            return Ok(Self::new((dimension, None), budget, (Source::Configuration, day)));
        }
        let used = used(state, budget.of(access::Subject::Global).0, day).await?;
        let shown = Self::new((dimension, Some(GLOBAL.to_owned())), budget, (Source::Configuration, day));
        Ok(shown.using(budget, used))
    }
}

/// Every budget that holds a user's calls, and those of one of its keys, in the order in which the proxy asks them: quotas, the
/// plan's budgets, those that were set, and those of the configuration.
///
/// # Errors
/// `unavailable`.
pub(crate) async fn holding(state: &State, query: BudgetQuery<'_>, day: Day) -> Result<Vec<Shown>, Problem> {
    let BudgetQuery { caller, subject, key } = query;
    let plan = state.store.plan_of(subject.user).await.map_err(Problem::store)?.unwrap_or(PlanId::NIL);
    let ids = [key.map_or(EVERYBODY, |key| key.id.0), subject.user.0, plan.0, EVERYBODY];
    let mut found = Vec::new();
    let credits = |amount| Budget { measure: Measure::Credits, per: access::Per::Day, amount };
    let of_user = access::Subject::User(subject.no);
    let quota = subject.plan.credits_per_day.map(credits);
    found.extend(quota.iter().chain(&subject.plan.budgets).map(|budget| (of_user, *budget, Source::Plan)));
    if let Some(OfKey { no, credits_per_day: Some(amount), .. }) = key {
        found.push((access::Subject::Key(no), credits(amount), Source::Key));
    }
    let stored = state.store.budgets_of(ids).await.map_err(Problem::store)?;
    found.extend(stored.into_iter().map(|stored| (stored.subject, stored.budget, Source::Api)));
    for BudgetLimit { dimension, budget } in &state.live.load().budgets.limits {
        let whose = match dimension {
            BudgetDimension::Key => key.map(|key| access::Subject::Key(key.no)),
            BudgetDimension::User => Some(of_user),
            BudgetDimension::Plan => Some(access::Subject::Plan(plan)),
            BudgetDimension::Global => Some(access::Subject::Global),
        };
        found.extend(whose.map(|whose| (whose, *budget, Source::Configuration)));
    }
    found.sort_by_key(|(whose, budget, _)| budget.of(*whose));
    let mut shown = Vec::with_capacity(found.len());
    for (whose, budget, source) in found {
        let whom = match whose {
            access::Subject::Key(_) => (BudgetDimension::Key, key.map(|key| key.id.to_string())),
            access::Subject::User(_) => (BudgetDimension::User, Some(subject.user.to_string())),
            access::Subject::Plan(_) => (BudgetDimension::Plan, Some(plan.to_string())),
            access::Subject::Global => (BudgetDimension::Global, Some(GLOBAL.to_owned())),
        };
        let item = Shown::new(whom, budget, (source, day));
        if is_shared(whose) && caller.role != Role::Admin {
            shown.push(item.without_amount());
            continue;
        }
        let used = used(state, budget.of(whose).0, day).await?;
        shown.push(item.using(budget, used));
    }
    Ok(shown)
}

/// Whether several users together use up the budgets of a subject. The amounts of such a budget reveal what other users spend. A
/// plan's own list (`plans[].budgets`) is counted for each user, so its subject is the user.
const fn is_shared(subject: access::Subject) -> bool {
    match subject {
        access::Subject::Key(_) | access::Subject::User(_) => false,
        access::Subject::Plan(_) | access::Subject::Global => true,
    }
}

/// What is used of a budget: by the live meter where it counts everything. Apart from the proxy, and of what is not counted yet, by
/// the store, and where nodes share a budget, by the one that knows more.
async fn used(state: &State, budget: BudgetId, day: Day) -> Result<u64, Problem> {
    let period = Period::of(budget.per, day);
    let live = state.meter.as_ref().and_then(|meter| {
        let cell = meter.counter(budget).filter(|cell| cell.period() == period)?;
        Some((cell.used_by_requests(), meter.is_leased()))
    });
    if let Some((used, false)) = live {
        return Ok(used);
    }
    let recorded = state.store.charge_of(budget.subject, period).await.map_err(Problem::store)?;
    Ok(recorded.of(budget.measure).max(live.map_or(0, |(used, _)| used)))
}
