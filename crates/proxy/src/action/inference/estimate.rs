//! Counts of tokens for models whose provider has no counter in the client's format: estimates of the gateway.

use ai::count::{counted_body, estimated_tokens};
use http::{HeaderName, HeaderValue};

use super::InferenceEndpoint;
use super::model_plan::PlannedModel;
use super::parsed_call::ParsedCall;
use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::action::Handled;
use crate::action::limit::limit_free;
use crate::action::off_worker::{ON_WORKER_BYTES_MAX, off_worker};
use crate::refusal::problem::Problem;
use crate::refusal::render;

/// The header of a response that is an estimate.
const ESTIMATED: HeaderName = HeaderName::from_static("x-tollgate-estimated");

/// Whether a call is a count that its provider does not have.
pub(super) fn is_needed(endpoint: &InferenceEndpoint, target: &PlannedModel) -> bool {
    let called = endpoint.called.endpoint;
    called.free() && !target.provider.of_model(&target.model).counts(called)
}

/// Responds to a count with an estimate.
pub(super) async fn respond(
    account: &mut RequestAccount,
    parsed: &ParsedCall,
    endpoint: &InferenceEndpoint,
    target: &PlannedModel,
    client: &Client,
) -> Result<Handled, Problem> {
    let admission = limit_free(account, Some(client)).await?;
    let known_model = account.request.snapshot.traffic.known_name(&target.provider, &target.model);
    let tokens = if parsed.content.len() <= ON_WORKER_BYTES_MAX {
        estimated_tokens(known_model, &parsed.content)
    } else {
        let (known_model, content) = (known_model.to_owned(), parsed.content.clone());
        off_worker(account, move || estimated_tokens(&known_model, &content)).await?
    };
    let mut response = render::json(counted_body(endpoint.format, tokens).unwrap_or_default());
    response.headers_mut().insert(ESTIMATED, HeaderValue::from_static("true"));
    Ok(Handled::Own(Box::new(response), admission.rate))
}
