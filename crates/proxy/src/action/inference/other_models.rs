//! The other models by which a provider may serve a call, for clients that may use a part of the models only.

use access::Refusal;
use ai::bound::Extent;
use ai::hosts::host::takes_models;

use crate::account::client::Client;
use crate::account::{InferenceCall, RequestAccount};
use crate::authenticate::scope;
use crate::refusal::problem::Problem;

/// Whether the provider may serve the call by a model that the client may not use.
pub(super) fn are_restricted(account: &RequestAccount, call: &InferenceCall, client: &Client) -> bool {
    let principal = &client.principal;
    let traffic = &account.request.snapshot.traffic;
    takes_models(&call.provider.origin.host)
        && (principal.bounds.models.is_some() || traffic.plan_has_models(&principal.plan.name))
}

/// Refuses a call that lists a model that the client may not use, or too many.
pub(super) fn check(
    account: &RequestAccount,
    call: &InferenceCall,
    client: &Client,
    extent: &Extent,
) -> Result<(), Problem> {
    let principal = &client.principal;
    let traffic = &account.request.snapshot.traffic;
    if extent.lists_too_many_models() {
        return Err(
            Problem::new(Refusal::BadRequest, "`models` lists too many models: send fewer").of_param(Some("models"))
        );
    }
    let plan = principal.plan.name.as_str();
    for model in extent.models() {
        let name = format!("{}/{model}", call.provider.name);
        scope::check_model(&principal.bounds, &name)?;
        if !traffic.plan_includes(plan, &name) {
            let message = format!("the plan {plan} does not include the model {name:?} of `models`");
            return Err(Problem::new(Refusal::ModelNotFound, message).of_param(Some("models")));
        }
    }
    Ok(())
}
