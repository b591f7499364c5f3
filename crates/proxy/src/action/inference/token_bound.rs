//! The tokens that a call counts in the limits of its target if the provider does not report them.

use access::Tokens;

use super::model_plan::{InferenceRequest, PlannedModel};
use super::parsed_call::ParsedCall;
use super::target_call::extent;
use crate::account::RequestAccount;
use crate::bytes::content::length;
use crate::refusal::problem::Problem;

/// Returns the most tokens that a call may use at its target. If a limit of the model is unknown, the bytes of the body count,
/// as a token of text has at least one.
pub(super) async fn tokens_max(
    account: &RequestAccount,
    parsed: &ParsedCall,
    of: &InferenceRequest<'_>,
    target: &PlannedModel,
) -> Result<Tokens, Problem> {
    let extent = extent(account, &of.endpoint.called, &parsed.fields, &parsed.content).await?;
    // The size of a large body is read on another thread.
    account.request.read_clock();
    let traffic = &account.request.snapshot.traffic;
    let at = account.request.started_at;
    let provider = &target.provider;
    let model = &*target.model;
    let host = &provider.origin.host;
    let extent = extent.at_host(host).with_tool_rounds(traffic.budgets.server_tool_rounds);
    let tokens = |model: &str| {
        let extent = extent.clone().of_model(host, model);
        let bound = extent.bound(traffic.price(provider, (model, None), at), traffic.limits(provider, model, at));
        bound.tokens.unwrap_or_else(|| Tokens(length(&parsed.content)))
    };
    Ok(extent.models().iter().map(|other| tokens(other)).fold(tokens(model), Tokens::max))
}
