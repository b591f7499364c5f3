//! Quotas and budgets in explanations: with their places in the file, and the reason why their use is unknown.

use std::fmt;

use access::amounts::usd;
use access::{Budget, BudgetScope, Day, Measure, Plan, SubjectId};
use config::Snapshot;
use meter::Period;
use serde::Serialize;
use store::DatabaseError;
use utoipa::ToSchema;

use super::{Amount, BudgetSources, BudgetState, BudgetView, Source, state};
use crate::message::moment::rfc3339;
use crate::message::words::{ExplainedDimensionWord, SourceWord};

/// A quota or a budget that applies to an explained request. Exactly one of `money`, `credits` and `tokens` is present; its
/// name is the measure and its value is the amount.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedBudget)]
pub(crate) struct ExplainedBudget {
    /// The scope of the budget. A `subject` is a client without a user.
    #[schema(value_type = ExplainedDimensionWord)]
    dimension: &'static str,
    /// The id of the key, the user or the plan; `-` for `global`. Null for `subject`.
    id: Option<String>,
    /// The name of a plan's quota, such as `session`; null without one.
    quota: Option<String>,
    /// The period: `day`, `week` or `month` in UTC, or a window: `5h/first_use`, `week/Asia/Jakarta`, `week/2026-11-30T14:00Z` of
    /// a user's subscription, `period/30` for its paid periods.
    per: String,
    /// The maximum cost, as an amount of money.
    #[serde(skip_serializing_if = "Option::is_none")]
    money: Option<String>,
    /// The maximum number of quota credits.
    #[serde(skip_serializing_if = "Option::is_none")]
    credits: Option<u64>,
    /// The maximum number of tokens, summed over all token classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<u64>,
    /// The part in use, including reservations of requests in flight; null if it is unknown.
    used: Option<Amount>,
    /// The rest, at least 0; null if it is unknown.
    remaining: Option<Amount>,
    /// The end of the current period; the budget is full again from then on.
    #[schema(format = DateTime)]
    resets_at: String,
    /// The origin of the budget.
    #[schema(value_type = SourceWord)]
    source: &'static str,
    /// The position in the file of the plan, or of the entry of `budgets.limits`; null if the store alone has the budget.
    place: Option<String>,
    /// The reason why the use is unknown; null if it is known.
    reason: Option<String>,
    #[serde(skip)]
    budget: Budget,
}

/// The quota and the budgets of a subject without a user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SubjectQuotas<'a> {
    /// The plan of the configuration.
    pub(crate) plan: &'a Plan,
    /// The subject, or the reason why it is unknown.
    pub(crate) subject: Result<SubjectId, &'a str>,
}

impl ExplainedBudget {
    /// Adds the place of a budget that applies to a user; `plan` is the name of the user's plan.
    pub(crate) fn of_user(view: BudgetView, plan: &str, snapshot: &Snapshot) -> Self {
        let BudgetView { dimension, id, used, remaining, resets_at, source, budget, .. } = view;
        let place = if source == Source::Plan.as_str() {
            // The store may have other limits for a plan than the file.
            let is_in_file =
                snapshot.plan(plan).is_some_and(|plan| plan.quotas().any(|of_plan| of_plan == budget.of_plan()));
            is_in_file.then(|| snapshot.place_of_plan(plan)).flatten()
        } else if source == Source::Configuration.as_str() {
            let mut limits = snapshot.traffic.budgets.limits.iter();
            let limit = limits.find(|limit| limit.dimension.as_str() == dimension && limit.budget == budget);
            limit.and_then(|limit| snapshot.place_of_budget(limit))
        } else {
            None
        };
        Self { dimension, id, used, remaining, place, source, ..Self::of_subject(budget, resets_at) }
    }

    /// Returns a budget of the plan of a subject, without its use and its place.
    fn of_subject(budget: Budget, resets_at: String) -> Self {
        let Budget { measure, per, amount, name } = budget;
        let of = |other| (measure == other).then(|| measure.units_of(amount));
        Self {
            dimension: "subject",
            id: None,
            quota: name.map(|name| name.to_string()),
            per: per.to_string(),
            money: (measure == Measure::Money).then(|| usd::written_money(amount.money())),
            credits: of(Measure::Credits),
            tokens: of(Measure::Tokens),
            used: None,
            remaining: None,
            resets_at,
            source: Source::Plan.as_str(),
            place: None,
            reason: None,
            budget,
        }
    }

    /// Returns a description of the budget if nothing is left of it.
    pub(crate) fn used_up(&self) -> Option<String> {
        let used = self.used.as_ref()?;
        let remaining = self.remaining.as_ref()?;
        if !remaining.is_zero() {
            return None;
        }
        let kind = if self.is_quota() { "quota" } else { "budget" };
        let described = self.described();
        Some(format!(
            "the {kind} is used up: {described}: {used} used, {remaining} left; it is full again at {}",
            self.resets_at
        ))
    }

    /// Returns the amount, its holder and its origin.
    fn described(&self) -> String {
        let holder = match self.dimension {
            "key" => "the key",
            "user" => "the user",
            "subject" => "the subject",
            "plan" => "all users of the plan",
            _ => "all users",
        };
        let origin = match self.source {
            "plan" => "the plan",
            "key" => "the key",
            "api" => "the store",
            _ => "the configuration",
        };
        let place = self.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
        let name = self.quota.as_ref().map(|name| format!("`{name}`, ")).unwrap_or_default();
        format!("{name}{} for {holder}, from {origin}{place}", self.budget)
    }

    /// Returns the time at which the budget is full again, as RFC 3339 in UTC.
    pub(crate) fn resets_at(&self) -> &str {
        &self.resets_at
    }

    /// Whether it is a quota: credits per day or window of a plan or a key.
    pub(crate) fn is_quota(&self) -> bool {
        let is_own = [Source::Plan, Source::Key].iter().any(|source| source.as_str() == self.source);
        is_own && self.budget.measure.is_quota_per(self.budget.per)
    }
}

impl SubjectQuotas<'_> {
    /// Returns the quota and the budgets of credits with their use.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub(crate) async fn explained(
        self,
        sources: BudgetSources<'_>,
        day: Day,
    ) -> Result<Vec<ExplainedBudget>, DatabaseError> {
        let place = sources.snapshot.place_of_plan(&self.plan.name);
        let mut explained = Vec::new();
        for budget in self.plan.subject_quotas() {
            let mut view =
                ExplainedBudget { place: place.clone(), ..ExplainedBudget::of_subject(budget, String::new()) };
            match self.subject {
                Ok(subject) => {
                    let BudgetState { period, used } =
                        state(sources, budget.id_and_amount(BudgetScope::Subject(subject)).0, day).await?;
                    view.resets_at = rfc3339(period.end());
                    view.used = Some(Amount::from_amount(budget.measure, used));
                    view.remaining = Some(Amount::from_amount(budget.measure, budget.amount.saturating_sub(used)));
                }
                Err(reason) => {
                    view.resets_at = rfc3339(Period::containing(budget.per, day).end());
                    view.reason = Some(reason.to_owned());
                }
            }
            explained.push(view);
        }
        Ok(explained)
    }
}

impl fmt::Display for ExplainedBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.described())?;
        match (&self.used, &self.remaining, &self.reason) {
            (Some(used), Some(remaining), _) => write!(f, ": {used} used, {remaining} left")?,
            (_, _, Some(reason)) => write!(f, ": use unknown: {reason}")?,
            _ => {}
        }
        write!(f, ", until {}", self.resets_at)
    }
}
