//! Explanations of requests with the state of their limits, for `POST /api/explain` and `tollgate explain`.
//!
//! `config` explains the effect of the configuration. This module adds the key that the request is made with, and the
//! remaining part of its limits and budgets.

mod holder;
mod limit_state;
mod target_state;
mod unknown_subject;
mod used_up;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;

use access::Clock;
use config::{ExplainedAuthentication, Explanation, Snapshot, WrittenRequest};
use meter::Meter;
use serde::Serialize;
use store::{DatabaseError, Store};
use telemetry::BackendBoard;
use thiserror::Error;
use utoipa::ToSchema;

use crate::message::moment::rfc3339;
use crate::nouns::backend_state::BackendStateWord;
use crate::nouns::budgets::{BudgetSources, ExplainedBudget};
use crate::nouns::source_state::SourceView;
pub use holder::HolderName;
use holder::{ExplainedKey, ExplainedSubject, Holder};
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
    /// The backends of this process's proxy.
    pub board: &'a BackendBoard,
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
    /// The client that makes it.
    pub holder: Option<HolderName>,
    /// The address of the client.
    pub address: Option<IpAddr>,
}

/// The reason why a request is not explained.
#[derive(Debug, Error)]
pub enum ExplanationError {
    /// The key does not exist.
    #[error("the key does not exist")]
    NoKey,
    /// No entry of `auth` that a route uses lists the client.
    #[error("no entry of `auth` that a route uses lists this name; expected ENTRY/NAME")]
    NotListed,
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
    /// The key that the request is made with; null if `as` names none.
    #[serde(rename = "as")]
    key: Option<ExplainedKey>,
    /// The key or the user of an entry of `auth` that the request is made as; null if `as` names none.
    subject: Option<ExplainedSubject>,
    /// The backends that may get the request, with their present state; empty if this process does not serve the proxy.
    backends: Vec<ExplainedBackendState>,
    /// The sources of the members of these upstreams.
    sources: Vec<SourceView>,
    /// The rate limits of the request with their present state, in the order in which they apply.
    limits: Vec<LimitState>,
    /// The quotas and budgets that apply to the client, with their use.
    budgets: Vec<ExplainedBudget>,
    /// The reason why other quotas and budgets may apply; null if `budgets` has all.
    budgets_reason: Option<String>,
}

/// A backend of an upstream that may get the request. A backend that is not available gets it only if too few others are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedBackendState)]
struct ExplainedBackendState {
    upstream: String,
    /// The URL of the backend.
    url: String,
    /// The configured name whose address `url` has.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    state: BackendStateWord,
    /// Why the backend is not available: the error of its last failed check, or `connect`, `reset`, `timeout` or `status`.
    cause: Option<String>,
    /// The end of the ejection, or of the time for which the circuit breaker admits no requests; null if it is not known.
    #[schema(format = DateTime)]
    ends_at: Option<String>,
}

impl<'a> ExplanationSources<'a> {
    /// Returns the backends of the upstreams of an explained request.
    fn backends(self, explanation: &Explanation) -> Vec<ExplainedBackendState> {
        let upstreams =
            explanation.action.iter().flat_map(|action| &action.upstreams).map(|upstream| upstream.name.as_str());
        let names: Vec<&str> = upstreams.collect();
        let Some(states) = self.board.backends() else { return Vec::new() };
        let now = self.clock.now();
        let mut shown: BTreeMap<(String, String, Option<String>), ExplainedBackendState> = BTreeMap::new();
        for status in states.iter().filter(|status| names.contains(&&*status.upstream)) {
            let state = ExplainedBackendState {
                upstream: status.upstream.to_string(),
                url: status.url.to_string(),
                name: status.name.as_deref().map(str::to_owned),
                state: status.condition.into(),
                cause: status.cause.as_deref().map(str::to_owned),
                ends_at: status.ends_in.map(|wait| rfc3339(now.after(wait))),
            };
            shown.insert((state.upstream.clone(), state.url.clone(), state.name.clone()), state);
        }
        for upstream in self.snapshot.traffic.upstreams.iter().filter(|upstream| names.contains(&&*upstream.name)) {
            for backend in upstream.backends().iter().filter(|backend| backend.weight == 0) {
                let upstream = upstream.name.to_string();
                let url = backend.origin.to_string();
                let name = backend.origin.name().map(str::to_owned);
                let of = (upstream.clone(), url.clone(), name.clone());
                let state = BackendStateWord::Drained;
                shown.insert(of, ExplainedBackendState { upstream, url, name, state, cause: None, ends_at: None });
            }
        }
        shown.into_values().collect()
    }

    /// Returns the sources of the members of the upstreams of an explained request.
    fn members(self, explanation: &Explanation) -> Vec<SourceView> {
        let named: Vec<&str> =
            explanation.action.iter().flat_map(|action| &action.upstreams).map(|upstream| &*upstream.name).collect();
        let upstreams = self.snapshot.traffic.upstreams.iter().filter(|upstream| named.contains(&&*upstream.name));
        upstreams.flat_map(|upstream| SourceView::list(upstream, self.clock.now())).collect()
    }

    const fn budgets(self) -> BudgetSources<'a> {
        let meter = match self.counters {
            Some(counters) => Some(counters.meter),
            None => None,
        };
        BudgetSources { store: self.store, meter, snapshot: self.snapshot }
    }
}

impl StatefulExplanation {
    /// Explains a request.
    ///
    /// # Errors
    /// [`ExplanationError`].
    pub async fn explain(sources: ExplanationSources<'_>, query: ExplanationQuery) -> Result<Self, ExplanationError> {
        let ExplanationQuery { request, holder, address } = query;
        let holder = match &holder {
            Some(name) => Some(Holder::find(sources, name).await?),
            None => None,
        };
        let request = match &holder {
            Some(Holder::Key(_)) => request.with_key(),
            Some(Holder::Listed(client)) => request.with_credential_of(client.entry),
            None => request,
        };
        let request = request.with_address(address).with_plan(holder.as_ref().and_then(Holder::plan));
        let mut explanation = sources.snapshot.explain(&request);
        let deciding = explanation.authentication.as_ref().and_then(ExplainedAuthentication::deciding);
        let client = holder.as_ref().filter(|holder| deciding.is_some_and(|deciding| accepts(deciding, holder)));
        // The proxy checks the key before it looks for the model.
        let is_decided = explanation.refusal.is_some() && explanation.model.is_none();
        if let Some(Holder::Key(holder)) = client
            && !is_decided
        {
            let refusal = holder.refusal(&explanation, address, sources.clock.now());
            explanation.refusal = refusal.or(explanation.refusal);
            explanation.status =
                explanation.refusal.as_ref().map_or(explanation.status, |refusal| Some(refusal.status));
        }
        let states = StateSources { sources, request: &request, client, address };
        let limits = states.limits(&explanation);
        let (budgets, budgets_reason) = match client {
            Some(holder) => (holder.budgets(sources).await?, None),
            None => unknown_subject::budgets(sources, &explanation).await?,
        };
        if explanation.refusal.is_none()
            && let Some(refusal) = used_up::refusal(sources.snapshot, &explanation, &limits, &budgets)
        {
            explanation.status = Some(refusal.status);
            explanation.refusal = Some(refusal);
        }
        let (key, subject) = match &holder {
            Some(Holder::Key(holder)) => (Some(ExplainedKey::from(&**holder)), None),
            Some(Holder::Listed(client)) => (None, Some(ExplainedSubject::from(client))),
            None => (None, None),
        };
        target_state::mark(sources, &mut explanation, holder.as_ref()).await?;
        let backends = sources.backends(&explanation);
        let sources = sources.members(&explanation);
        Ok(Self { explanation, key, subject, backends, sources, limits, budgets, budgets_reason })
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
        lines.extend(self.key.as_ref().map(|key| ("as", key.line())));
        lines.extend(self.subject.as_ref().map(|subject| ("as", subject.line())));
        lines.extend(self.sources.iter().map(|source| ("members", source.line())));
        lines.extend(self.limits.iter().map(|limit| ("limit", limit.to_string())));
        let label = |budget: &ExplainedBudget| if budget.is_quota() { "quota" } else { "budget" };
        lines.extend(self.budgets.iter().map(|budget| (label(budget), budget.to_string())));
        lines.extend(self.budgets_reason.iter().map(|reason| ("budgets", format!("unknown: {reason}"))));
        lines
    }
}

/// Whether the credential of the client is one of those that decide about the request.
fn accepts(deciding: &ExplainedAuthentication, holder: &Holder<'_>) -> bool {
    match holder {
        // Keys that the configuration lists, and access tokens, are no keys of the store.
        Holder::Key(_) => deciding.kind == "key" && deciding.entry.is_none(),
        Holder::Listed(client) => deciding.entry.as_deref() == Some(client.entry),
    }
}
