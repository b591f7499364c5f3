//! What the gateway does with a request, and why: `tollgate explain`, `POST /api/explain`, and `tests` of the file.
//!
//! An explanation follows from the configuration alone. It knows no keys, tokens and counters, and not the state of
//! backends. Its fields are those of the API.

mod action;
mod display;
mod listed;
mod plan;
mod preflight;
mod request;
mod routes;
mod targets;

use serde::Serialize;
use utoipa::ToSchema;

use crate::snapshot::{Auth, LimitTier, PresentedCredentials as _, RateLimit, Selection, Snapshot, position};
pub use listed::{ListedRoute, ListedUpstream, is_endpoint};
pub use plan::{ExplainedPlan, ListedClient};
pub use request::{FIELDS_MAX, RequestError, WrittenRequest};
pub use routes::disputed;
use settings::place::Place;
pub use targets::ExplainedTarget;

/// What the gateway does with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Explanation {
    /// The request, as it was understood.
    pub request: ExplainedRequest,
    /// The route that the request matches; null if none does.
    pub route: Option<ExplainedRoute>,
    /// Routes of the same host and path that are not used, in the order of the file; at most 20.
    pub others: Vec<OtherRoute>,
    /// The authentication that the route requires.
    pub authentication: Option<ExplainedAuthentication>,
    /// The rate limits that count the request, in the order in which they apply. Those with `after_authentication` apply
    /// only to clients that have the values of their dimensions.
    pub rate_limits: Vec<ExplainedRateLimit>,
    /// What happens to a request that is admitted.
    pub action: Option<ExplainedAction>,
    /// The response with which the gateway refuses the request. Of limits, only those that are used up now refuse it.
    pub refusal: Option<ExplainedRefusal>,
    /// The status of the response; null if a credential or an upstream decides it.
    pub status: Option<u16>,
    /// The model that an LLM request names, which the bounds of a key may exclude.
    #[serde(skip)]
    pub model: Option<String>,
}

/// A request as it selects its route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExplainedRequest {
    /// The method as it was written.
    pub method: String,
    /// The host, with its port; null without one.
    pub host: Option<String>,
    /// The path without the query.
    pub path: String,
    /// The query without its question mark.
    pub query: Option<String>,
}

/// The route of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExplainedRoute {
    /// The name, as in logs and metrics; of an LLM endpoint, its path.
    pub name: String,
    /// Whether it is the built-in route of an LLM endpoint.
    pub is_endpoint: bool,
    /// The position in the file, `FILE:LINE:COLUMN`; null if the file does not have it.
    pub place: Option<String>,
    /// The parts of the request that match, in the order of precedence.
    pub because: Vec<String>,
}

/// A route that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OtherRoute {
    /// The name of the route.
    pub name: String,
    /// The position in the file.
    pub place: Option<String>,
    /// The requirement that the request does not meet, or the reason why another route comes first.
    pub because: String,
}

/// The authentication of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExplainedAuthentication {
    /// `key`, `jwt`, `basic`, `forward` or `none`; `any` with `alternatives`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The name of the entry of `auth`.
    pub entry: Option<String>,
    /// The position of the entry in the file.
    pub place: Option<String>,
    /// Claims that are required, with their values: `scope = users.read`.
    pub require: Vec<String>,
    /// The plan of the clients of the entry; null if they have none. A key of users has the plan of its user.
    pub plan: Option<ExplainedPlan>,
    /// Whether the request has a credential of this type; it may be invalid.
    pub has_credential: bool,
    /// Whether this credential decides about the request. Of alternatives, at most one does.
    pub decides: bool,
    /// The accepted credentials, in their order; one is needed. The first credential that the request has decides.
    #[schema(no_recursion)]
    pub alternatives: Vec<ExplainedAuthentication>,
}

/// A rate limit that counts the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExplainedRateLimit {
    /// Its name in metrics and headers, such as `ip+route`.
    pub name: String,
    /// The number of requests with its window, as in `RateLimit-Policy`; null if only some tiers are limited.
    pub policy: Option<String>,
    /// The limits of clients of these tiers: plans, or values of a claim.
    pub tiers: Vec<ExplainedTier>,
    /// Whether it applies after authentication.
    pub after_authentication: bool,
    /// The position in the file.
    pub place: Option<String>,
}

/// The rate limit of the clients of one tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExplainedTier {
    /// The name of the plan, or the value of the claim.
    pub name: String,
    /// The number of requests with its window, as in `RateLimit-Policy`.
    pub policy: String,
}

/// What happens to an admitted request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExplainedAction {
    /// `forward`, `respond`, `redirect`, `inference`, `models` or `status`.
    pub kind: &'static str,
    /// The path and query that the upstream receives, before the path of a backend's URL.
    pub target: Option<String>,
    /// The value of `Location` of a redirect.
    pub location: Option<String>,
    /// The upstreams that may get the request.
    pub upstreams: Vec<ExplainedUpstream>,
    /// The format of an LLM endpoint. The model of the request decides the provider.
    pub format: Option<&'static str>,
    /// The choice of the first target of the model: `fallback`, `weighted`, `cheapest` or `fastest`; null if only one is tried.
    pub strategy: Option<&'static str>,
    /// The targets of the model, in the order of the file; empty if the request names no model.
    pub targets: Vec<ExplainedTarget>,
}

/// An upstream that may get the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExplainedUpstream {
    /// The name of the upstream.
    pub name: String,
    /// Its share of the requests of the route, relative to the other upstreams.
    pub weight: u32,
    /// The choice of the backend.
    pub strategy: &'static str,
    /// The backends of the upstream; those that discovery finds, if the process has found them.
    pub backends: Vec<ExplainedBackend>,
    /// The path and query that this upstream receives.
    #[serde(skip)]
    pub(crate) target: String,
    /// The same without masks, which tests compare.
    #[serde(skip)]
    pub(crate) sent_target: Option<String>,
    /// The sources of further backends, such as `dns users.internal:8080`.
    pub sources: Vec<String>,
    /// The position in the file.
    pub place: Option<String>,
}

/// A backend that may get the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExplainedBackend {
    /// The URL of the request.
    pub url: String,
    /// The configured name whose address `url` has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its share of the requests of the upstream, relative to the other backends.
    pub weight: u32,
}

/// A response with which the gateway refuses a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExplainedRefusal {
    /// The status of the response.
    pub status: u16,
    /// The code of the error.
    pub code: &'static str,
    /// The reason for the refusal.
    pub message: String,
}

impl Snapshot {
    /// Explains what happens to a request.
    #[must_use]
    pub fn explain(&self, request: &WrittenRequest) -> Explanation {
        let merged = self.traffic.merged_path(&request.path).map(|path| request.with_path(path));
        let request = merged.as_ref().unwrap_or(request);
        let announced = preflight::announced(self, request);
        let selecting = announced.as_ref().unwrap_or(request);
        let arriving = selecting.arriving(self);
        let selection = self.traffic.select(arriving.requested(&self.process));
        let without_key = self.traffic.key_places(&selection).map(|places| request.without_keys(places));
        let shown = without_key.as_ref().unwrap_or(request);
        let mut explanation = Explanation {
            request: ExplainedRequest {
                method: request.method.clone(),
                host: Some(request.host.clone()).filter(|host| !host.is_empty()),
                path: request.path.clone(),
                query: shown.query.clone(),
            },
            route: routes::selected(self, &selection),
            others: routes::others(self, &selection, selecting),
            authentication: None,
            rate_limits: Vec::new(),
            action: None,
            refusal: None,
            status: None,
            model: targets::requested_model(&selection, request).map(str::to_owned),
        };
        let refused_address = || routes::refused_address(&selection, request);
        if let Some(announced) = &announced {
            explanation.refusal = refused_address();
            match &explanation.refusal {
                Some(refusal) => explanation.status = Some(refusal.status),
                None => preflight::explain(announced, &mut explanation),
            }
            return explanation;
        }
        explanation.refusal = routes::refused(self, &selection, request).or_else(refused_address);
        if explanation.refusal.is_none() {
            self.explain_admission(&selection, shown, &mut explanation);
        }
        if let Some(refusal) = &explanation.refusal {
            explanation.status = Some(refusal.status);
        }
        explanation
    }

    /// Adds what follows the choice of the route.
    fn explain_admission(&self, selection: &Selection<'_, '_>, request: &WrittenRequest, to: &mut Explanation) {
        let auth = match selection {
            Selection::Route(route) => {
                self.traffic.auth_of(route, &request.method, &request.path, || request.requests_websocket)
            }
            Selection::Health => &Auth::None,
            Selection::Endpoint(called) if called.endpoint == ai::Endpoint::Root => &Auth::None,
            Selection::Endpoint(_) | Selection::Quotas(_) => &Auth::Key,
            Selection::WrongMethod { .. } | Selection::Disputed { .. } | Selection::None => return,
        };
        let authentication = self.authentication(auth, request);
        to.rate_limits = self.limits_of(selection, request.plan.as_deref()).map(|rule| self.limit(rule)).collect();
        let acted = action::action(self, selection, request);
        match acted {
            Ok((action, status)) => {
                to.action = Some(action);
                to.status = if authentication.is_required() { None } else { status };
            }
            Err(refusal) => to.refusal = Some(refusal),
        }
        if authentication.is_required() && !authentication.has_credential {
            let message = format!("the route needs {}", authentication.needed());
            to.refusal = Some(ExplainedRefusal { status: 401, code: access::Refusal::Unauthorized.code(), message });
        }
        to.authentication = Some(authentication);
    }

    fn authentication(&self, auth: &Auth, request: &WrittenRequest) -> ExplainedAuthentication {
        let has_key = || request.keys().any(|key| !key.is_empty());
        let is_client_of = |entry: &str| request.entry() == Some(entry);
        let of = |kind, has_credential| ExplainedAuthentication {
            kind,
            entry: None,
            place: None,
            require: Vec::new(),
            plan: self.plan_of(auth),
            has_credential,
            decides: true,
            alternatives: Vec::new(),
        };
        let of_entry = |entry: &str, place, explained: ExplainedAuthentication| ExplainedAuthentication {
            entry: Some(entry.to_owned()),
            place: self.place_text(place),
            ..explained
        };
        match auth {
            Auth::None => of("none", false),
            Auth::Key => of("key", request.has_key || has_key()),
            Auth::Listed(entry) => {
                of_entry(entry.name.as_str(), entry.place, of("key", is_client_of(entry.name.as_str()) || has_key()))
            }
            // Redis is not asked: it decides.
            Auth::Redis(entry) => of_entry(entry.name.as_str(), entry.place, of("key", has_key())),
            Auth::Jwt(rule) => ExplainedAuthentication {
                require: rule.require.iter().map(|needed| format!("{} = {}", needed.claim, needed.value)).collect(),
                ..of_entry(&rule.entry.name, rule.entry.place, of("jwt", request.bearers().next().is_some()))
            },
            Auth::Basic(entry) => {
                let has_credential = is_client_of(entry.name.as_str()) || request.has_basic();
                of_entry(entry.name.as_str(), entry.place, of("basic", has_credential))
            }
            // The service decides, also about requests without a credential.
            Auth::Forward(entry) => of_entry(entry.name.as_str(), entry.place, of("forward", true)),
            Auth::Any(alternatives) => {
                let decides = position(request, alternatives);
                let explained = |(at, one)| ExplainedAuthentication {
                    decides: decides == Some(at),
                    ..self.authentication(one, request)
                };
                let alternatives: Vec<_> = alternatives.iter().enumerate().map(explained).collect();
                let has_credential = alternatives.iter().any(|one| one.decides && one.has_credential);
                ExplainedAuthentication { alternatives, ..of("any", has_credential) }
            }
        }
    }

    /// Returns the rate limits that count a request, in the order of [`Explanation::rate_limits`].
    #[must_use]
    pub fn rate_limits_of(&self, request: &WrittenRequest) -> Vec<&RateLimit> {
        if preflight::announced(self, request).is_some() {
            return Vec::new();
        }
        match self.traffic.select(request.arriving(self).requested(&self.process)) {
            Selection::WrongMethod { .. } | Selection::Disputed { .. } | Selection::None => Vec::new(),
            selection @ (Selection::Route(_) | Selection::Endpoint(_) | Selection::Quotas(_) | Selection::Health) => {
                self.limits_of(&selection, request.plan.as_deref()).collect()
            }
        }
    }

    /// Returns the rate limits of the selected route for a client of this plan, or of any plan, those before authentication
    /// first.
    fn limits_of<'a>(
        &'a self,
        selection: &Selection<'_, '_>,
        plan: Option<&str>,
    ) -> impl Iterator<Item = &'a RateLimit> + use<'a> {
        let of_route = match selection {
            Selection::Route(route) => route.policy.rate_limits.clone(),
            Selection::Endpoint(_)
            | Selection::Health
            | Selection::Quotas(_)
            | Selection::WrongMethod { .. }
            | Selection::Disputed { .. }
            | Selection::None => 0..0,
        };
        let limits = &self.traffic.rate_limits;
        let positions: Vec<usize> = match plan {
            _ if matches!(selection, Selection::Health) => Vec::new(),
            Some(_) => limits.positions(plan, &of_route).collect(),
            None => limits.positions_of_all_plans(&of_route).collect(),
        };
        let has_model = matches!(selection, Selection::Endpoint(called) if called.endpoint.format().is_some());
        let rules = || {
            let rules = positions.iter().filter_map(|position| limits.all().get(*position));
            rules.filter(|rule| has_model || !rule.needs_call())
        };
        let before: Vec<&RateLimit> = rules().filter(|rule| !rule.needs_client()).collect();
        before.into_iter().chain(rules().filter(|rule| rule.needs_client()).collect::<Vec<_>>())
    }

    /// Returns a rate limit as explanations show it.
    #[must_use]
    pub fn limit(&self, rule: &RateLimit) -> ExplainedRateLimit {
        let policy = |tier: &LimitTier| tier.policy.to_string();
        ExplainedRateLimit {
            name: rule.name.to_string(),
            policy: rule.usual.as_ref().map(policy),
            tiers: rule
                .tiers
                .iter()
                .map(|(name, tier)| ExplainedTier { name: name.to_string(), policy: policy(tier) })
                .collect(),
            after_authentication: rule.needs_client(),
            place: self.place_text(rule.place),
        }
    }

    /// Returns a position in the file as errors write it.
    pub(crate) fn place_text(&self, place: Option<Place>) -> Option<String> {
        place.map(|Place { line, column, .. }| format!("{}:{line}:{column}", self.file))
    }
}

#[cfg(test)]
mod tests;
