//! The target of an LLM call, or the entry of `models` whose targets may serve it.

use std::sync::Arc;

use access::credentials::api_key::{contains_key, masked};
use access::{Credits, Refusal};
use ai::Endpoint;
use config::snapshot::{CreditRates, Model, Provider, Target};
use config::{ResolveError, ResolvedModel};
use meter::SkipReason;

use super::InferenceEndpoint;
use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::authenticate::scope;
use crate::limits::rate_limits;
use crate::limits::rate_limits::leased::count_shared;
use crate::refusal::problem::Problem;

/// The model that a call requests, with the provider that serves it.
pub(super) struct ModelPlan {
    /// The name that the client requested, or the name in place of its plan's alias.
    pub(super) requested: Arc<str>,
    /// The name under which its usage is counted.
    pub(super) counted: Arc<str>,
    /// The flat credits that the call costs.
    pub(super) credits: Credits,
    /// The credits of the call by its tokens, in place of flat credits.
    pub(super) credit_rates: Option<Arc<CreditRates>>,
    /// The target of a call that has one.
    pub(super) target: PlannedModel,
    /// The entry of `models`, if the call may have more than one attempt.
    pub(super) entry: Option<Arc<Model>>,
}

/// What all attempts of a call have in common: the endpoint, the client, and the plan.
#[derive(Clone, Copy)]
pub(super) struct InferenceRequest<'a> {
    pub(super) endpoint: &'a InferenceEndpoint,
    pub(super) client: &'a Client,
    pub(super) plan: &'a ModelPlan,
}

/// A provider, and its own name of the model.
#[derive(Clone)]
pub(super) struct PlannedModel {
    pub(super) provider: Arc<Provider>,
    pub(super) model: Arc<str>,
    /// Whether a translated call marks what the provider caches.
    pub(super) prompt_cache: bool,
    /// Whether a call that passes in its format gets the fields of the model.
    pub(super) adapts: bool,
}

impl PlannedModel {
    /// Returns a target of an entry, for a call that requests the model with this name.
    pub(super) fn from_target(entry: &Model, target: &Target, requested: &str) -> Self {
        let model = entry.model_of(target, requested);
        let adapts = target.adapts && !names(requested, &model);
        Self { provider: target.provider.clone(), model, prompt_cache: target.prompt_cache, adapts }
    }
}

/// Whether the name that a client requests is that of the provider's model, with or without the name of a provider.
fn names(requested: &str, model: &str) -> bool {
    requested.strip_suffix(model).is_some_and(|provider| provider.is_empty() || provider.ends_with('/'))
}

impl ModelPlan {
    /// Returns the plan for the model with this name, which the client may use.
    pub(super) fn for_model(
        account: &mut RequestAccount,
        endpoint: Endpoint,
        model: &str,
        client: &Client,
    ) -> Result<Self, Problem> {
        let prefix = &account.request.snapshot.process.brand.key_prefix;
        if contains_key(model.as_bytes(), prefix) {
            let shown = masked(model, prefix).into();
            if let Some(inference) = &mut account.inference {
                inference.refused_model = Some(shown);
            }
            let message = "the name of the model contains a key of this gateway: send the key as a header";
            return Err(Problem::new(Refusal::BadRequest, message));
        }
        let resolved = scope::check_model(&client.principal.bounds, model).and_then(|()| {
            let traffic = &account.request.snapshot.traffic;
            let plan = client.principal.plan.name.as_str();
            let resolved = traffic.resolve_model_in_plan(Some(plan), endpoint, model);
            resolved.map_err(|why| unresolved(&why, model))
        });
        let ResolvedModel { provider, asked, model, prompt_cache, adapts, credits, entry } =
            resolved.inspect_err(|_| {
                if let Some(inference) = &mut account.inference {
                    inference.refused_model = Some(Arc::from(model));
                }
            })?;
        let counted = account.request.snapshot.traffic.counted_name(&asked);
        let adapts = adapts && !names(&asked, &model);
        let target = PlannedModel { provider, model, prompt_cache, adapts };
        let rates = &account.request.snapshot.traffic.credit_rates;
        let credit_rates = rates.of_plan(&client.principal.plan.name).cloned();
        if let Some(inference) = &mut account.inference {
            inference.credit_rates.clone_from(&credit_rates);
        }
        Ok(Self { requested: asked, counted, credits, credit_rates, target, entry })
    }

    /// Returns the least that the call costs once it is sent.
    pub(super) fn least_credits(&self) -> Credits {
        self.credit_rates.as_ref().map_or(self.credits, |rates| rates.minimum)
    }

    /// Counts the call in the rate limits that count by the model.
    pub(super) async fn count(&self, account: &mut RequestAccount, client: &Client) -> Result<(), Problem> {
        let traffic = &account.request.snapshot.traffic;
        if !traffic.rate_limits.has_models() {
            return Ok(());
        }
        // The body may have taken long.
        account.request.read_clock();
        let model = traffic.limited_name(&self.requested, &self.target.provider.name, &self.target.model);
        let counted = match rate_limits::after_resolution(account, client, &model) {
            Ok(waiting) if waiting.is_empty() => Ok(()),
            // Boxed, because its future is large and other requests do not need it.
            Ok(waiting) => Box::pin(count_shared(account, waiting)).await,
            Err(problem) => Err(problem),
        };
        counted.inspect_err(|_| {
            if let Some(inference) = &mut account.inference {
                inference.refused_model = Some(self.requested.clone());
            }
        })
    }

    /// Notes for the usage event that the call skips a target of its entry.
    pub(super) fn skip(&self, account: &mut RequestAccount, target: &Target, reason: SkipReason) {
        if let Some(entry) = &self.entry {
            account.skips(&target.provider.name, entry.model_of(target, &self.requested), reason);
        }
    }
}

/// Returns the refusal of a model that the plan does not include.
pub(crate) fn not_in_plan(plan: &str, model: &str) -> Problem {
    unresolved(&ResolveError::NotInPlan { plan: plan.to_owned() }, model)
}

/// Returns the refusal of a model that no provider serves.
pub(crate) fn no_model(model: &str) -> Problem {
    unresolved(&ResolveError::NotFound, model)
}

fn unresolved(why: &ResolveError, model: &str) -> Problem {
    Problem::new(why.refusal(), why.message(model))
}
