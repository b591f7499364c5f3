//! Explanations of requests with the state of their limits, for `POST /api/explain` and `tollgate explain`.
//!
//! `config` explains the effect of the configuration. This module adds the key that the request is made with, and the
//! remaining part of its limits and budgets.

mod limit_state;

use std::net::IpAddr;
use std::num::NonZeroU32;

use access::{Clock, KeyBounds, KeyId, Refusal, Role, Subject, Timestamp, UserId, UserStatus};
use config::{ExplainedAuthentication, ExplainedRefusal, Explanation, Snapshot, WrittenRequest};
use meter::{Caller, Meter};
use serde::Serialize;
use store::{DatabaseError, Key, Store, User, UserRef};
use thiserror::Error;
use utoipa::ToSchema;

use crate::budgets::{self, BudgetKey, BudgetQuery, BudgetSources, BudgetView};
use crate::usage_scope::UsageScope;
use limit_state::StateSources;
pub use limit_state::{LimitState, LimitStateKind};

/// What an explanation is made from.
#[derive(Debug, Clone, Copy)]
pub struct ExplanationSources<'a> {
    /// The keys, the users and the recorded usage.
    pub store: &'a Store,
    /// The configuration that is explained.
    pub snapshot: &'a Snapshot,
    /// The source of the time.
    pub clock: &'a Clock,
    /// The counters of this process; `None` without the proxy.
    pub counters: Option<LiveCounters<'a>>,
}

/// The counters of the process that serves the proxy.
#[derive(Debug, Clone, Copy)]
pub struct LiveCounters<'a> {
    /// The rate limits, quotas and budgets.
    pub meter: &'a Meter,
    /// The requests without a valid key.
    pub unauthenticated: &'a meter::window::counts::WindowCounts,
    /// The number of nodes that share the rate limits through Redis; `None` if this process counts alone.
    pub nodes: Option<NonZeroU32>,
}

/// A request that is to be explained.
#[derive(Debug, Clone)]
pub struct ExplanationQuery {
    /// The request without its client.
    pub request: WrittenRequest,
    /// The key with which it is made.
    pub key: Option<KeyId>,
    /// The address of the client.
    pub address: Option<IpAddr>,
}

/// The reason why a request is not explained.
#[derive(Debug, Error)]
pub enum ExplanationError {
    /// The key does not exist.
    #[error("the key does not exist")]
    NoKey,
    /// An error of the store.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// What the gateway does with a request, and the present state of its limits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedRequestState)]
pub struct StatefulExplanation {
    #[serde(flatten)]
    explanation: Explanation,
    /// The key that the request is made with; null without `as`.
    #[serde(rename = "as")]
    key: Option<ExplainedKey>,
    /// The rate limits of the request with their present state, in the order in which they apply.
    limits: Vec<LimitState>,
    /// The quotas and budgets that apply to the key, with their use.
    budgets: Vec<BudgetView>,
}

/// The key that a request is made with.
#[derive(Debug, Serialize, ToSchema)]
struct ExplainedKey {
    #[schema(value_type = Uuid)]
    id: KeyId,
    label: String,
    last4: String,
    #[schema(value_type = Uuid)]
    user_id: UserId,
    user_name: String,
    /// The name of the user's plan.
    plan: String,
}

/// A key with its user.
#[derive(Debug)]
struct KeyHolder {
    key: Key,
    user: User,
}

impl StatefulExplanation {
    /// Explains a request.
    ///
    /// # Errors
    /// [`ExplanationError`].
    pub async fn of(sources: ExplanationSources<'_>, query: ExplanationQuery) -> Result<Self, ExplanationError> {
        let ExplanationQuery { request, key, address } = query;
        let holder = match key {
            Some(key) => Some(KeyHolder::find(sources.store, key).await?),
            None => None,
        };
        let request = if holder.is_some() { request.with_key() } else { request };
        let mut explanation = sources.snapshot.explain(&request);
        // Keys that the configuration lists, and access tokens, are no keys of the store.
        let deciding = explanation.authentication.as_ref().and_then(ExplainedAuthentication::deciding);
        let is_by_key = deciding.is_some_and(|of| of.kind == "key" && of.entry.is_none());
        let client = holder.as_ref().filter(|_| is_by_key);
        if let (Some(holder), None) = (client, &explanation.refusal) {
            explanation.refusal = holder.refusal(&explanation, address, sources.clock.now());
            explanation.status =
                explanation.refusal.as_ref().map_or(explanation.status, |refusal| Some(refusal.status));
        }
        let states = StateSources { sources, request: &request, client, address };
        let limits = states.limits(&explanation);
        let budgets = match client {
            Some(holder) => holder.budgets(sources).await?,
            None => Vec::new(),
        };
        Ok(Self { explanation, key: holder.map(ExplainedKey::from), limits, budgets })
    }

    /// Returns the explanation of the configuration.
    #[must_use]
    pub const fn explanation(&self) -> &Explanation {
        &self.explanation
    }

    /// Returns lines for a terminal: a label, and a value. They follow the explanation of the configuration.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if let Some(ExplainedKey { id, label, last4, user_name, plan, .. }) = &self.key {
            lines.push(("as", format!("key {id} (…{last4}, {label}) of {user_name}, plan {plan}")));
        }
        lines.extend(self.limits.iter().map(|limit| ("limit", limit.to_string())));
        lines.extend(self.budgets.iter().map(|budget| ("budget", budget.to_string())));
        lines
    }
}

impl From<KeyHolder> for ExplainedKey {
    fn from(KeyHolder { key, user }: KeyHolder) -> Self {
        let (id, label, last4) = (key.id, key.label, key.last4);
        Self { id, label, last4, user_id: user.id, user_name: user.name, plan: user.plan.name }
    }
}

impl KeyHolder {
    async fn find(store: &Store, id: KeyId) -> Result<Self, ExplanationError> {
        let key = store.find_key(id).await?.ok_or(ExplanationError::NoKey)?;
        let user = store.find_user(&UserRef::Id(key.user)).await?.ok_or(ExplanationError::NoKey)?;
        Ok(Self { key, user })
    }

    fn subject(&self) -> Subject {
        Subject::Key(Caller { user: self.user.no, key: self.key.no, plan: access::PlanId::NIL })
    }

    /// Returns the refusal of the key, if it is not valid for the request.
    fn refusal(&self, of: &Explanation, address: Option<IpAddr>, now: Timestamp) -> Option<ExplainedRefusal> {
        let refused = |refusal: Refusal, message: &str| {
            Some(ExplainedRefusal { status: refusal.status(), code: refusal.code(), message: message.to_owned() })
        };
        let Key { revoked_at, expires_at, bounds, .. } = &self.key;
        let is_bound_elsewhere = |bounds: &KeyBounds| {
            of.route.as_ref().is_some_and(|route| !route.is_endpoint && !bounds.opens_route(&route.name))
        };
        if revoked_at.is_some() {
            refused(Refusal::KeyRevoked, "the key was revoked")
        } else if expires_at.is_some_and(|end| end <= now) {
            refused(Refusal::KeyExpired, "the key has expired")
        } else if self.user.status == UserStatus::Suspended {
            refused(Refusal::UserSuspended, "the user of the key is suspended")
        } else if address.is_some_and(|address| !bounds.opens_from(address)) {
            refused(Refusal::Forbidden, "the key is bound to networks, and the address is in none of them")
        } else if is_bound_elsewhere(bounds) {
            refused(Refusal::Forbidden, "the key is bound to routes, and this is not one of them")
        } else {
            None
        }
    }

    async fn budgets(&self, sources: ExplanationSources<'_>) -> Result<Vec<BudgetView>, DatabaseError> {
        let ExplanationSources { store, snapshot, clock, counters } = sources;
        let Self { key, user } = self;
        let scope = UsageScope { user: user.id, no: user.no, plan: std::sync::Arc::new(user.plan.clone()) };
        let key = BudgetKey { id: key.id, no: key.no, credits_per_day: key.bounds.credits_per_day };
        let query = BudgetQuery { role: Role::Admin, scope: &scope, key: Some(key) };
        let meter = counters.map(|counters| counters.meter);
        budgets::holding(BudgetSources { store, meter, snapshot }, query, clock.now().day()).await
    }
}
