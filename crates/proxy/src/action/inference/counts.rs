//! Counts of tokens: by the counter of the model's provider, in the client's format or in another one, otherwise estimates of the
//! gateway.

use std::time::Duration;

use access::Refusal;
use ai::count::{counted_body, counted_tokens, estimated_tokens};
use http::{HeaderName, HeaderValue};
use meter::{AdmissionInfo, Charge};
use tokio::time::timeout;

use super::beginning::is_page;
use super::early::read_error;
use super::model_plan::{InferenceRequest, PlannedModel};
use super::parsed_call::ParsedCall;
use super::prepared_call::prepare_count;
use super::shared_account;
use super::target_call::TargetCall;
use crate::account::RequestAccount;
use crate::action::ActionResponse;
use crate::action::limit::limit;
use crate::action::off_worker::{ON_WORKER_BYTES_MAX, off_worker};
use crate::forward::UpstreamResponse;
use crate::refusal::problem::Problem;
use crate::refusal::render;

/// The header of a response that is an estimate.
const ESTIMATED: HeaderName = HeaderName::from_static("x-tollgate-estimated");
/// Maximum time in which a counter responds. Clients count before each call, and an estimate is better than a long wait.
const COUNTER_WAIT_MAX: Duration = Duration::from_secs(10);

/// The result of a provider's counter.
enum Count<'a> {
    /// A response in the client's format: a count, or the reason why the call is invalid.
    Response(Box<(TargetCall<'a>, UpstreamResponse)>),
    /// The count of a call in another format.
    Tokens(u64),
    /// The provider has no counter for the call, or it has failed.
    Unknown,
}

/// Responds to a count. Only the first target of the model counts: another target has another number.
pub(super) async fn respond(
    account: &mut RequestAccount,
    parsed: &ParsedCall,
    of: InferenceRequest<'_>,
) -> Result<ActionResponse, Problem> {
    let admission = limit(account, Some(of.client), None).await?;
    let target = &of.plan.target;
    let is_native = target.provider.of_model(&target.model).counts(of.endpoint.called.endpoint);
    let count = if is_native { native(account, parsed, of).await? } else { translated(account, parsed, of).await? };
    match count {
        Count::Response(passed) => {
            let (call, answered) = *passed;
            call.relayed(account, answered, admission)
        }
        Count::Tokens(tokens) => Ok(own(account, of, tokens, false, admission)),
        Count::Unknown => {
            let tokens = estimate(account, parsed, target).await?;
            Ok(own(account, of, tokens, true, admission))
        }
    }
}

/// Passes a count to the provider's counter.
async fn native<'a>(
    account: &mut RequestAccount,
    parsed: &ParsedCall,
    of: InferenceRequest<'a>,
) -> Result<Count<'a>, Problem> {
    let mut call = TargetCall::new(account, parsed, of, &of.plan.target).await?;
    let Some(mut answered) = send(&mut call, account).await? else { return Ok(Count::Unknown) };
    let head = &answered.head.head;
    // The client's call is invalid, so that a real call would fail too.
    let is_of_client = matches!(head.status(), 400 | 413 | 422);
    if head.is_success() && !is_page(&answered) {
        return Ok(Count::Response(Box::new((call, answered))));
    }
    if is_of_client {
        let is_reworded = !shared_account::is_decisive(&call, &answered)
            || shared_account::read_and_reword(&call, account, &mut answered).await.is_ok();
        if is_reworded {
            return Ok(Count::Response(Box::new((call, answered))));
        }
    }
    discard(account, answered);
    Ok(Count::Unknown)
}

/// Has a call counted in another format, in which its provider counts.
async fn translated<'a>(
    account: &mut RequestAccount,
    parsed: &ParsedCall,
    of: InferenceRequest<'a>,
) -> Result<Count<'a>, Problem> {
    let target = &of.plan.target;
    let Some(prepared) = prepare_count(account, parsed, of, target).await? else { return Ok(Count::Unknown) };
    let mut call = TargetCall::of_prepared(account, parsed, of, target, prepared).await?;
    let Some(mut answered) = send(&mut call, account).await? else { return Ok(Count::Unknown) };
    let is_success = answered.head.head.is_success();
    let now = account.request.read_clock();
    let body = read_error(&mut answered, now).await;
    discard(account, answered);
    let tokens = if is_success { counted_tokens(call.provider_format(), &body) } else { None };
    Ok(tokens.map_or(Count::Unknown, Count::Tokens))
}

/// Sends a count to its provider; `None` if the counter has failed.
async fn send(call: &mut TargetCall<'_>, account: &mut RequestAccount) -> Result<Option<UpstreamResponse>, Problem> {
    if call.is_credential_refused(account) {
        return Ok(None);
    }
    match timeout(COUNTER_WAIT_MAX, call.forward(account)).await {
        Ok(Ok(answered)) => Ok(Some(answered)),
        Ok(Err(problem)) if !is_of_counter(problem.refusal) => Err(problem),
        Ok(Err(_)) | Err(_) => {
            account.end_attempt(Charge::default(), None);
            Ok(None)
        }
    }
}

/// Whether a counter that cannot be asked is the reason of a refusal.
const fn is_of_counter(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::UpstreamConnect
            | Refusal::UpstreamReset
            | Refusal::UpstreamProtocol
            | Refusal::UpstreamTimeout
            | Refusal::NoHealthyUpstream
            | Refusal::Overloaded
    )
}

/// Ends the attempt of a response that the client does not get.
fn discard(account: &mut RequestAccount, answered: UpstreamResponse) {
    account.end_attempt(Charge::default(), None);
    answered.discard(account.request.read_clock());
}

/// Returns an estimate of the gateway.
async fn estimate(account: &RequestAccount, parsed: &ParsedCall, target: &PlannedModel) -> Result<u64, Problem> {
    let known_model = account.request.snapshot.traffic.known_name(&target.provider, &target.model);
    if parsed.content.len() <= ON_WORKER_BYTES_MAX {
        return Ok(estimated_tokens(known_model, &parsed.content));
    }
    let known_model = known_model.to_owned();
    let content = parsed.content.clone();
    off_worker(account, move || estimated_tokens(&known_model, &content)).await
}

/// Returns the gateway's own response to a count.
fn own(
    account: &mut RequestAccount,
    of: InferenceRequest<'_>,
    tokens: u64,
    is_estimated: bool,
    admission: AdmissionInfo,
) -> ActionResponse {
    account.spend();
    let mut response = render::json(counted_body(of.endpoint.format, tokens).unwrap_or_default());
    if is_estimated {
        response.headers_mut().insert(ESTIMATED, HeaderValue::from_static("true"));
    }
    ActionResponse::Own(Box::new(response), admission.rate)
}
