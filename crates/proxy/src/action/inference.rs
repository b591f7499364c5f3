//! The action of an LLM endpoint: the body is read completely, a plan names the target of the model, and the target gets its
//! call. If the model has several targets, `fallback` tries them in the `order` of their strategy until one begins to respond
//! with content. A tap reads the response.

mod access_token;
mod account_objects;
mod attempt;
mod beginning;
mod counts;
mod early;
mod fallback;
mod hosted;
pub(crate) mod model_plan;
mod order;
mod other_models;
mod parsed_call;
mod prepared_call;
mod project_data;
mod recognition;
mod references;
mod reserved_tokens;
mod runtime;
mod session;
pub(crate) mod shared_account;
mod signing;
mod spent;
mod target_call;
mod target_response;
mod token_bound;
mod translation;
mod tries;

use ai::{EndpointCall, Format};

use self::fallback::FallbackCall;
use self::model_plan::{InferenceRequest, ModelPlan};
use self::parsed_call::ParsedCall;
use self::target_call::TargetCall;
use super::ActionResponse;
use crate::account::client::Client;
use crate::account::{InferenceAccount, RequestAccount};
use crate::body::IncomingBody;
use crate::refusal::problem::Problem;

/// An LLM endpoint with the format of its requests.
pub(crate) struct InferenceEndpoint {
    pub(crate) called: EndpointCall<'static>,
    pub(crate) format: Format,
}

impl InferenceEndpoint {
    /// Returns the account of a call. A call that is free of quota has no usage event, and so no format.
    pub(crate) fn account(&self) -> Box<InferenceAccount> {
        InferenceAccount::new((!self.called.endpoint.free()).then_some(self.format))
    }
}

/// Sends an LLM call to a target of its model.
pub(crate) async fn infer(
    endpoint: &InferenceEndpoint,
    account: &mut RequestAccount,
    body: &mut IncomingBody,
    client: &Client,
) -> Result<ActionResponse, Problem> {
    let parsed = ParsedCall::read(account, body, endpoint, client).await?;
    let parsed = if references::may_have(endpoint, &parsed) {
        // Boxed, because few calls need it.
        Box::pin(references::resolve(account, endpoint, parsed)).await?
    } else {
        parsed
    };
    session::note(account, &parsed);
    let plan = ModelPlan::for_model(account, endpoint.called.endpoint, &parsed.fields.model, client)?;
    plan.count(account, client).await?;
    let of = InferenceRequest { endpoint, client, plan: &plan };
    if endpoint.called.endpoint.counts_tokens() {
        // Boxed, because only counts need it.
        return Box::pin(counts::respond(account, &parsed, of)).await;
    }
    if account.request.snapshot.traffic.rate_limits.has_tokens() {
        // Boxed, because its future is large and other calls do not need it.
        Box::pin(reserved_tokens::reserve(account, &parsed, of)).await?;
    }
    if let Some((entry, rules)) = plan.entry.as_ref().and_then(|entry| Some((entry, entry.fallback.as_deref()?))) {
        // Boxed, because its future is large and calls with one attempt do not need it.
        return Box::pin(FallbackCall { of, entry, rules }.send(account, parsed)).await;
    }
    let mut call = TargetCall::new(account, &parsed, of, &plan.target).await?;
    // The rest of the call has the bytes, and drops those that are sent.
    drop(parsed);
    shared_account::check_credential(&call, account)?;
    let admission = call.reserve(account).await?;
    let mut answered = call.forward(account).await?;
    if shared_account::is_decisive(&call, &answered) {
        // Boxed, because only errors need it.
        Box::pin(shared_account::read_and_reword(&call, account, &mut answered)).await?;
    }
    call.relayed(account, answered, admission)
}
