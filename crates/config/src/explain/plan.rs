//! The plans of clients without a user, and the clients that the configuration lists by name.

use std::collections::{BTreeMap, BTreeSet};

use access::{Plan, Subject};
use serde::Serialize;
use utoipa::ToSchema;

use crate::snapshot::{Auth, BudgetLimit, Snapshot, TokenPlan};

/// The plan of the clients of an entry of `auth`. Its quota and its budgets count for each subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExplainedPlan {
    /// The name; null if the credential alone names the plan.
    pub name: Option<String>,
    /// The part of the credential that names the plan, or replaces `name`: a claim of the token, or the value of the key in
    /// Redis. Null if the configuration alone decides.
    pub named_by: Option<String>,
    /// Its quota and its budgets of credits: `40 credits a day`.
    pub limits: Vec<String>,
    /// The position of the plan in the file.
    pub place: Option<String>,
}

/// A key or a user that an entry of `auth` lists.
#[derive(Debug, Clone)]
pub struct ListedClient<'a> {
    /// The name of the entry.
    pub entry: &'a str,
    /// The name of the client within the entry.
    pub name: &'a str,
    /// The identity of its requests.
    pub subject: Subject,
    /// The plan of the entry's clients.
    pub plan: Option<&'a Plan>,
    /// The position of the entry in the file.
    pub place: Option<String>,
}

impl Snapshot {
    /// Returns the client `ENTRY/NAME` of an entry of `auth` that a route uses.
    #[must_use]
    pub fn listed_client(&self, text: &str) -> Option<ListedClient<'_>> {
        let (entry, name) = text.split_once('/')?;
        self.auths().find_map(|auth| match auth {
            Auth::Listed(of) if of.name.as_str() == entry => {
                let sub = of.keys.names().find(|known| known.as_str() == name)?;
                let subject = Subject::Token { issuer: of.name.clone(), sub: sub.clone() };
                let entry = of.name.as_str();
                let plan = self.plan_named(of.plan.as_deref());
                let place = self.place_text(of.place);
                Some(ListedClient { entry, name: sub.as_str(), subject, plan, place })
            }
            Auth::Basic(of) if of.name.as_str() == entry => {
                let user = of.users.names().find(|known| known.as_str() == name)?;
                let subject = Subject::Basic { issuer: of.name.clone(), name: user.clone() };
                let entry = of.name.as_str();
                let plan = self.plan_named(of.plan.as_deref());
                let place = self.place_text(of.place);
                Some(ListedClient { entry, name: user.as_str(), subject, plan, place })
            }
            Auth::Key
            | Auth::None
            | Auth::Jwt(_)
            | Auth::Listed(_)
            | Auth::Redis(_)
            | Auth::Basic(_)
            | Auth::Forward(_)
            | Auth::Any(_) => None,
        })
    }

    fn plan_named(&self, name: Option<&str>) -> Option<&Plan> {
        name.and_then(|name| self.plan(name))
    }

    /// Returns the authentication of each route, with each alternative.
    fn auths(&self) -> impl Iterator<Item = &Auth> {
        self.traffic.router.routes().iter().flat_map(|route| {
            let auth = &route.policy.auth;
            if let Auth::Any(alternatives) = auth { alternatives } else { std::slice::from_ref(auth) }
        })
    }

    /// Returns the plans that clients without a user may have: those that entries of `auth` name, or all plans if a claim or
    /// a value in Redis names the plan.
    #[must_use]
    pub fn subject_plans(&self) -> Vec<&Plan> {
        let plans: Vec<ExplainedPlan> = self.auths().filter_map(|auth| self.plan_of(auth)).collect();
        let is_named = |plan: &&Plan| {
            plans.iter().any(|of| of.named_by.is_some() || of.name.as_deref() == Some(plan.name.as_str()))
        };
        self.traffic.plans.iter().filter(is_named).collect()
    }

    /// Returns the issuers of subjects whose plan the configuration alone decides, with that plan.
    #[must_use]
    pub fn plans_of_issuers(&self) -> BTreeMap<&str, &Plan> {
        let issuers: BTreeSet<&str> = self.auths().filter_map(issuer_of).collect();
        issuers.into_iter().filter_map(|issuer| Some((issuer, self.plan_of_issuer(issuer)?))).collect()
    }

    /// Returns the plan of the subjects of an issuer; `None` if the configuration alone does not decide it.
    fn plan_of_issuer(&self, issuer: &str) -> Option<&Plan> {
        let of_issuer = self.auths().filter(|auth| issuer_of(auth) == Some(issuer));
        let mut names = of_issuer.map(|auth| match self.plan_of(auth) {
            Some(ExplainedPlan { name, named_by: None, .. }) => name,
            Some(_) | None => None,
        });
        let first = names.next()??;
        let is_same = names.all(|name| name.as_ref() == Some(&first));
        if is_same { self.plan(&first) } else { None }
    }

    /// Returns the plan of this name in the configuration.
    #[must_use]
    pub fn plan(&self, name: &str) -> Option<&Plan> {
        self.traffic.plans.iter().find(|plan| plan.name == name)
    }

    /// Returns the position of a plan in the file; `None` for one of the defaults.
    #[must_use]
    pub fn place_of_plan(&self, name: &str) -> Option<String> {
        let position = self.traffic.plans.iter().position(|plan| plan.name == name)?;
        self.place_text(*self.traffic.limit_places.plans.get(position)?)
    }

    /// Returns the position in the file of an entry of `budgets.limits`.
    #[must_use]
    pub fn place_of_budget(&self, limit: &BudgetLimit) -> Option<String> {
        let position = self.traffic.budgets.limits.iter().position(|other| other == limit)?;
        self.place_text(*self.traffic.limit_places.budgets.get(position)?)
    }

    /// Returns the plan of the clients that `auth` accepts.
    pub(super) fn plan_of(&self, auth: &Auth) -> Option<ExplainedPlan> {
        let named = |name: &str, named_by: Option<&str>| ExplainedPlan {
            name: Some(name.to_owned()),
            named_by: named_by.map(str::to_owned),
            limits: self.plan(name).map(limits).unwrap_or_default(),
            place: self.place_of_plan(name),
        };
        let by =
            |named_by: String| ExplainedPlan { name: None, named_by: Some(named_by), limits: Vec::new(), place: None };
        match auth {
            Auth::Key | Auth::None | Auth::Any(_) => None,
            Auth::Jwt(rule) => Some(match rule.entry.plan.as_ref()? {
                TokenPlan::Named(name) => named(name, None),
                TokenPlan::Claim(claim) => by(format!("the claim `{claim}` of the token")),
            }),
            Auth::Listed(entry) => Some(named(entry.plan.as_deref()?, None)),
            Auth::Basic(entry) => Some(named(entry.plan.as_deref()?, None)),
            Auth::Forward(entry) if entry.subject.is_none() => None,
            Auth::Forward(entry) => Some(named(entry.plan.as_deref()?, None)),
            Auth::Redis(entry) => {
                let value = "the value of the key in Redis";
                Some(entry.plan.as_deref().map_or_else(|| by(value.to_owned()), |name| named(name, Some(value))))
            }
        }
    }
}

/// Returns the issuer of the subjects that `auth` accepts.
fn issuer_of(auth: &Auth) -> Option<&str> {
    match auth {
        Auth::Jwt(rule) => Some(rule.entry.terms.subject_issuer.as_str()),
        Auth::Listed(entry) => Some(entry.name.as_str()),
        Auth::Redis(entry) => Some(entry.name.as_str()),
        Auth::Basic(entry) => Some(entry.name.as_str()),
        Auth::Forward(entry) => Some(entry.name.as_str()),
        Auth::Key | Auth::None | Auth::Any(_) => None,
    }
}

/// Returns in words what a plan limits of clients without a user.
fn limits(plan: &Plan) -> Vec<String> {
    plan.subject_quotas().map(|budget| budget.to_string()).collect()
}
