//! Budgets as the API shows them: the scope, the amount, and the part in use.

mod explained;
mod used;

use std::fmt;

use access::amounts::usd;
use access::{Budget, Credits, Day, KeyId, KeyNo, Measure, PlanId, Role, UserId};
use config::Snapshot;
use config::snapshot::{BudgetDimension, BudgetLimit};
use meter::Meter;
use meter::Period;
use serde::Serialize;
use store::{DatabaseError, EVERYBODY, Key, Store, StoredBudget};
use utoipa::ToSchema;

use crate::message::figures::Cost;
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::message::words::{DimensionWord, SourceWord};
use crate::nouns::usage_scope::UsageScope;
use crate::process::state::State;
use crate::sign_in::caller::Caller;
pub(crate) use explained::{ExplainedBudget, SubjectQuotas};
pub(crate) use used::{BudgetState, state, used};

/// The id of the budgets with scope `global`, as in the path of a budget.
pub(crate) const GLOBAL: &str = "-";

/// A budget and its use. Exactly one of `money`, `credits` and `tokens` is present; its name is the measure and its
/// value is the amount. The amounts of budgets that several users share (`plan`, `global`) are null, except for
/// admins.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Budget)]
pub(crate) struct BudgetView {
    /// The scope of the budget.
    #[schema(value_type = DimensionWord)]
    dimension: &'static str,
    /// The id of the key, the user or the plan; `-` for `global`. Null if the budget applies to each key, user or plan
    /// separately.
    id: Option<String>,
    /// The key's label, the user's e-mail address or the plan's name. Set only in the list of all budgets.
    name: Option<String>,
    /// The name of a plan's quota, such as `session`; missing without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<String>,
    /// The period: `day`, `week` or `month` in UTC, or a window: `5h/first_use`, `week/Asia/Jakarta`, `week/2026-11-30T14:00Z` of
    /// a user's subscription, `period/30` for its paid periods.
    per: String,
    /// The maximum cost, as an amount of money.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    money: Option<Visible<String>>,
    /// The maximum number of quota credits.
    #[schema(value_type = Option<u64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    credits: Option<Visible<u64>>,
    /// The maximum number of tokens, summed over all token classes.
    #[schema(value_type = Option<u64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Visible<u64>>,
    /// The part in use, including reservations of requests in flight. Null if `id` is null or the amount is null.
    used: Option<Amount>,
    /// The rest, at least 0. Null if `id` is null or the amount is null.
    remaining: Option<Amount>,
    /// The end of the current period; the budget is full again from then on.
    #[schema(format = DateTime)]
    resets_at: String,
    /// The origin of the budget.
    #[schema(value_type = SourceWord)]
    source: &'static str,
    #[serde(skip)]
    budget: Budget,
}

/// An amount, or null if the caller may not see it. The field is present in both cases, because its name is the measure.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Visible<T>(Option<T>);

/// A number of credits or tokens, or an amount of money. Credits have at most six decimal places.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = BudgetAmount)]
pub(crate) enum Amount {
    Number(#[schema(inline)] AmountNumber),
    Money(Cost),
}

/// A number of credits or tokens.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = f64)]
pub(crate) struct AmountNumber(NumberUnit);

/// The number, which credits have with their fraction.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
enum NumberUnit {
    Count(u64),
    Credits(Credits),
}

/// The origin of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Configuration,
    Api,
    Plan,
    Key,
}

/// What reports the budgets that apply to a client, and their use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BudgetSources<'a> {
    pub(crate) store: &'a Store,
    /// The used amounts at this moment; `None` in a process without the proxy.
    pub(crate) meter: Option<&'a Meter>,
    pub(crate) snapshot: &'a Snapshot,
}

impl State {
    /// Returns what reports budgets, with the budgets of this snapshot.
    pub(crate) fn budget_sources<'a>(&'a self, snapshot: &'a Snapshot) -> BudgetSources<'a> {
        BudgetSources { store: &self.store, meter: self.meter.as_deref(), snapshot }
    }
}

/// A query for the budgets that apply to a user, and to one of the user's keys.
#[derive(Debug)]
pub(crate) struct BudgetQuery<'a> {
    /// The role of the caller. Only admins see amounts that several users share.
    pub(crate) role: Role,
    pub(crate) scope: &'a UsageScope,
    pub(crate) key: Option<BudgetKey>,
}

/// A key whose budgets are listed together with its user's budgets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BudgetKey {
    pub(crate) id: KeyId,
    pub(crate) no: KeyNo,
    /// The quota of the key itself, if it has one.
    pub(crate) credits_per_day: Option<Credits>,
}

impl From<&Key> for BudgetKey {
    fn from(key: &Key) -> Self {
        Self { id: key.id, no: key.no, credits_per_day: key.bounds.credits_per_day }
    }
}

impl BudgetKey {
    /// The key that authenticates the request, if the scope is that key's user.
    pub(crate) fn from_caller(caller: &Caller, scope: &UsageScope) -> Option<Self> {
        let key = caller.key().filter(|key| key.user == scope.user)?;
        Some(Self { id: key.key, no: key.key_no, credits_per_day: key.bounds.credits_per_day })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Money(cost) => f.write_str(&usd::written_money(cost.nano_usd())),
        }
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

impl fmt::Display for AmountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            NumberUnit::Count(count) => count.fmt(f),
            NumberUnit::Credits(credits) => credits.fmt(f),
        }
    }
}

impl Amount {
    /// Returns a number of tokens or requests.
    pub(crate) const fn count(count: u64) -> Self {
        Self::Number(AmountNumber(NumberUnit::Count(count)))
    }

    /// Returns a number of credits.
    pub(crate) const fn credits(credits: Credits) -> Self {
        Self::Number(AmountNumber(NumberUnit::Credits(credits)))
    }

    /// Whether nothing is left.
    const fn is_zero(&self) -> bool {
        match self {
            Self::Number(AmountNumber(NumberUnit::Count(count))) => *count == 0,
            Self::Number(AmountNumber(NumberUnit::Credits(credits))) => credits.is_zero(),
            Self::Money(cost) => cost.nano_usd().0 == 0,
        }
    }

    fn from_amount(measure: Measure, amount: access::Amount) -> Self {
        match measure {
            Measure::Credits => Self::credits(amount.credits()),
            Measure::Tokens => Self::count(amount.0),
            Measure::Money => Self::Money(Cost::from_nano_usd(amount.money())),
        }
    }
}

impl BudgetView {
    fn new(dimension: BudgetDimension, id: Option<String>, budget: Budget, source: Source, period: Period) -> Self {
        let Budget { measure, per, amount, name } = budget;
        let of = |other| (measure == other).then(|| Visible(Some(measure.units_of(amount))));
        Self {
            dimension: dimension.as_str(),
            id,
            name: None,
            quota: name.map(|name| name.to_string()),
            per: per.to_string(),
            money: (measure == Measure::Money).then(|| Visible(Some(usd::written_money(amount.money())))),
            credits: of(Measure::Credits),
            tokens: of(Measure::Tokens),
            used: None,
            remaining: None,
            resets_at: rfc3339(period.end()),
            source: source.as_str(),
            budget,
        }
    }

    fn using(self, budget: Budget, used: access::Amount) -> Self {
        let remaining = Amount::from_amount(budget.measure, budget.amount.saturating_sub(used));
        Self { used: Some(Amount::from_amount(budget.measure, used)), remaining: Some(remaining), ..self }
    }

    /// The same budget without its amount: the scope, the measure and the period stay.
    fn without_amount(self) -> Self {
        let [credits, tokens] = [self.credits, self.tokens].map(|amount| amount.map(|_| Visible(None)));
        Self { money: self.money.map(|_| Visible(None)), credits, tokens, used: None, remaining: None, ..self }
    }

    /// The view of a budget that was set over the API or by a command.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn stored(state: &State, stored: StoredBudget, day: Day) -> Result<Self, Problem> {
        let StoredBudget { id: _, scope, scope_id, name, budget } = stored;
        let (dimension, id) = match scope {
            access::BudgetScope::Key(_) => (BudgetDimension::Key, scope_id.to_string()),
            // A subject has the budgets of its plan only, so none is stored for it.
            access::BudgetScope::User(_) | access::BudgetScope::Subject(_) => {
                (BudgetDimension::User, scope_id.to_string())
            }
            access::BudgetScope::Plan(_) => (BudgetDimension::Plan, scope_id.to_string()),
            access::BudgetScope::Global => (BudgetDimension::Global, GLOBAL.to_owned()),
        };
        let snapshot = state.live.load_full();
        // Only users have windows.
        let dates = if budget.per.is_of_subscription() {
            state.store.subscription_dates(&[UserId(scope_id)]).await?.remove(&UserId(scope_id))
        } else {
            None
        };
        let budget = dates.map_or(budget, |dates| budget.for_subscriber(dates));
        let budget_id = budget.id_and_amount(scope).0;
        let BudgetState { period, used } = self::state(state.budget_sources(&snapshot), budget_id, day).await?;
        let view = Self::new(dimension, Some(id), budget, Source::Api, period).using(budget, used);
        Ok(Self { name: Some(name).filter(|name| !name.is_empty()), ..view })
    }

    /// The view of a budget of the configuration. A budget that applies to each key, user or plan separately has no
    /// single used amount.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn configured(state: &State, limit: &BudgetLimit, day: Day) -> Result<Self, Problem> {
        let BudgetLimit { dimension, budget } = *limit;
        if dimension != BudgetDimension::Global {
            let period = Period::containing(budget.per, day);
            return Ok(Self::new(dimension, None, budget, Source::Configuration, period));
        }
        let id = budget.id_and_amount(access::BudgetScope::Global).0;
        let BudgetState { period, used } = self::state(state.budget_sources(&state.live.load_full()), id, day).await?;
        let view = Self::new(dimension, Some(GLOBAL.to_owned()), budget, Source::Configuration, period);
        Ok(view.using(budget, used))
    }
}

/// Every budget that applies to a user's requests and to those of one of the user's keys, in the order in which the
/// proxy checks them. Sources: quotas, the plan's budgets, budgets of the store, budgets of the configuration.
///
/// # Errors
/// `unavailable`.
pub(crate) async fn holding(
    sources: BudgetSources<'_>,
    query: BudgetQuery<'_>,
    day: Day,
) -> Result<Vec<BudgetView>, DatabaseError> {
    let BudgetQuery { role, scope: usage, key } = query;
    let plan = sources.store.plan_of(usage.user).await?.unwrap_or(PlanId::NIL);
    let owners = Owners { key, user: Some(usage), plan: Some(plan) };
    let of_user = access::BudgetScope::User(usage.no);
    let mut quotas: Vec<_> = usage.plan.quotas().map(|budget| (of_user, budget, Source::Plan)).collect();
    if let Some(BudgetKey { no, credits_per_day: Some(credits), .. }) = key {
        quotas.push((access::BudgetScope::Key(no), Budget::quota(credits), Source::Key));
    }
    owners.budgets(sources, quotas, role, day).await
}

/// The budgets that all users share, and those that the users of a plan share. Only admins may see them.
///
/// # Errors
/// `unavailable`.
pub(crate) async fn shared(
    sources: BudgetSources<'_>,
    plan: Option<PlanId>,
    day: Day,
) -> Result<Vec<BudgetView>, DatabaseError> {
    Owners { key: None, user: None, plan }.budgets(sources, Vec::new(), Role::Admin, day).await
}

/// The key, the user and the plan whose budgets are listed, beside those of all users.
struct Owners<'a> {
    key: Option<BudgetKey>,
    user: Option<&'a UsageScope>,
    plan: Option<PlanId>,
}

impl Owners<'_> {
    /// Returns `found` and the budgets of the store and of the configuration, in the order of the proxy.
    async fn budgets(
        &self,
        sources: BudgetSources<'_>,
        mut found: Vec<(access::BudgetScope, Budget, Source)>,
        role: Role,
        day: Day,
    ) -> Result<Vec<BudgetView>, DatabaseError> {
        let [key, user] = [self.key.map(|key| key.id.0), self.user.map(|user| user.user.0)];
        let ids = [key, user, self.plan.map(|plan| plan.0), None].map(|id| id.unwrap_or(EVERYBODY));
        let stored = sources.store.budgets_of(ids).await?;
        found.extend(stored.into_iter().map(|stored| (stored.scope, stored.budget, Source::Api)));
        for BudgetLimit { dimension, budget } in &sources.snapshot.traffic.budgets.limits {
            found.extend(self.scope(*dimension).map(|scope| (scope, *budget, Source::Configuration)));
        }
        if let Some(user) = self.user.map(|scope| scope.user)
            && found.iter().any(|(_, budget, _)| budget.per.is_of_subscription())
            && let Some(dates) = sources.store.subscription_dates(&[user]).await?.get(&user)
        {
            found.iter_mut().for_each(|(_, budget, _)| *budget = budget.for_subscriber(*dates));
        }
        found.sort_by_key(|(scope, budget, _)| budget.id_and_amount(*scope));
        let mut views = Vec::with_capacity(found.len());
        for (scope, budget, source) in found {
            let (dimension, id) = self.named(scope);
            if is_shared(scope) && role != Role::Admin {
                let period = Period::containing(budget.per, day);
                views.push(BudgetView::new(dimension, id, budget, source, period).without_amount());
                continue;
            }
            let BudgetState { period, used } = state(sources, budget.id_and_amount(scope).0, day).await?;
            views.push(BudgetView::new(dimension, id, budget, source, period).using(budget, used));
        }
        Ok(views)
    }

    fn scope(&self, dimension: BudgetDimension) -> Option<access::BudgetScope> {
        match dimension {
            BudgetDimension::Key => self.key.map(|key| access::BudgetScope::Key(key.no)),
            BudgetDimension::User => self.user.map(|user| access::BudgetScope::User(user.no)),
            BudgetDimension::Plan => self.plan.map(access::BudgetScope::Plan),
            BudgetDimension::Global => Some(access::BudgetScope::Global),
        }
    }

    fn named(&self, scope: access::BudgetScope) -> (BudgetDimension, Option<String>) {
        match scope {
            access::BudgetScope::Key(_) => (BudgetDimension::Key, self.key.map(|key| key.id.to_string())),
            access::BudgetScope::User(_) | access::BudgetScope::Subject(_) => {
                (BudgetDimension::User, self.user.map(|user| user.user.to_string()))
            }
            access::BudgetScope::Plan(_) => (BudgetDimension::Plan, self.plan.map(|plan| plan.to_string())),
            access::BudgetScope::Global => (BudgetDimension::Global, Some(GLOBAL.to_owned())),
        }
    }
}

/// Whether several users share the budgets of a scope. The amounts of such a budget reveal the spending of other
/// users. A plan's own list (`plans[].budgets`) is counted for each user, so its scope is the user.
const fn is_shared(scope: access::BudgetScope) -> bool {
    match scope {
        access::BudgetScope::Key(_) | access::BudgetScope::User(_) | access::BudgetScope::Subject(_) => false,
        access::BudgetScope::Plan(_) | access::BudgetScope::Global => true,
    }
}
