//! The tokens that a call probably uses, which limits of tokens reserve before the call is sent.

use ai::bound::Estimate;

use super::model_plan::InferenceRequest;
use super::parsed_call::ParsedCall;
use super::target_call::extent;
use crate::account::RequestAccount;
use crate::limits::rate_limits::tokens;
use crate::refusal::problem::Problem;

/// Reserves the tokens of a call in the limits of tokens that apply to it.
pub(super) async fn reserve(
    account: &mut RequestAccount,
    parsed: &ParsedCall,
    of: InferenceRequest<'_>,
) -> Result<(), Problem> {
    if of.endpoint.called.endpoint.free() {
        return Ok(());
    }
    let requested = &of.plan.requested;
    let target = &of.plan.target;
    let model = account.request.snapshot.traffic.limited_name(requested, &target.provider.name, &target.model);
    // The body may have taken long.
    account.request.read_clock();
    let limits = tokens::limits(account, of.client, &model)?;
    if limits.is_empty() {
        return Ok(());
    }
    let estimate = estimate(account, parsed, of).await?;
    tokens::reserve(account, limits, estimate).await.inspect_err(|_| {
        if let Some(inference) = &mut account.inference {
            inference.refused_model = Some(requested.clone());
        }
    })
}

/// Returns the estimate for the target that is tried first.
async fn estimate(
    account: &RequestAccount,
    parsed: &ParsedCall,
    of: InferenceRequest<'_>,
) -> Result<Estimate, Problem> {
    let extent = extent(account, &of.endpoint.called, &parsed.fields, &parsed.content).await?;
    // The size of a large body is read on another thread.
    account.request.read_clock();
    let provider = &of.plan.target.provider;
    let model = &of.plan.target.model;
    let limits = account.request.snapshot.traffic.limits(provider, model, account.request.started_at);
    Ok(extent.at_host(&provider.origin.host).estimate(limits))
}
