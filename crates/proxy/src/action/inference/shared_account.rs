//! Errors of a provider about the operator's account, which a call with the operator's credential does not show to the
//! client, who would take them for errors of the client's account at the gateway.

use access::Refusal;
use ai::FormatProblem;
use ai::account_error::HiddenError;
use ai::failure::ProviderError;
use bytes::Bytes;
use http1::KnownName;

use super::early::read_error;
use super::target_call::TargetCall;
use crate::account::{InferenceCall, RequestAccount};
use crate::action::changed_body;
use crate::forward::{UpstreamResponse, unwritable};
use crate::refusal::problem::Problem;

/// The status of a refused credential. A provider without a configured one refuses the operator too.
const UNAUTHORIZED: u16 = 401;

/// Whether a response may be about the operator's account, as its body then shows.
pub(super) fn may_concern(call: &TargetCall<'_>, answered: &UpstreamResponse) -> bool {
    let status = answered.head.head.status();
    status >= 400 && (call.is_shared() || (status == UNAUTHORIZED && !call.is_own()))
}

/// Reads the body of an error, and hides the operator's account as [`hide`] does.
pub(super) async fn read_and_hide(
    call: &TargetCall<'_>,
    account: &mut RequestAccount,
    answered: &mut UpstreamResponse,
) -> Result<(), Problem> {
    let now = account.request.read_clock();
    let body = read_error(answered, now).await;
    let error = ProviderError::of_response(answered.head.head.status(), &body);
    hide(call, account, answered, &error)
}

/// Replaces the body of an error about the operator's account, as [`HiddenError::of`] decides. Errors that follow a successful
/// head are replaced on their way to the client.
///
/// # Errors
/// The client can do nothing about the error: for example, the provider refuses the operator's credential, whose ends the
/// response may contain, or its account has no money left.
pub(super) fn hide(
    call: &TargetCall<'_>,
    account: &RequestAccount,
    answered: &mut UpstreamResponse,
    error: &ProviderError,
) -> Result<(), Problem> {
    let Some(hidden) = HiddenError::of(error, call.account(), call.is_of_project()) else { return Ok(()) };
    if hidden.refusal() == Refusal::UpstreamProtocol {
        let mut problem = Problem::new(hidden.refusal(), hidden.message());
        problem.source =
            Some(format!("the provider responded with {} to a credential that is not the user's", error.status));
        return Err(problem);
    }
    if answered.head.head.is_success() { Ok(()) } else { replace(call, account, answered, hidden) }
}

/// Notes in the log that the client got another error than that of the provider, which names the operator's account.
pub(crate) fn note(account: &RequestAccount, call: &InferenceCall, hidden: HiddenError) {
    let (provider, model, cause) = (&*call.provider.name, &*call.model, hidden.cause());
    tracing::info!(request_id = %account.request.id, provider, model, cause, "the operator's account at a provider refuses a call");
}

/// Replaces the body by one of the provider's format. The status and `Retry-After` remain.
fn replace(
    call: &TargetCall<'_>,
    account: &RequestAccount,
    answered: &mut UpstreamResponse,
    hidden: HiddenError,
) -> Result<(), Problem> {
    note(account, call.call(), hidden);
    let request_id = account.request.id.to_string();
    let reporter = ai::Reporter { domain: account.request.snapshot.process.brand.slug(), request_id: &request_id };
    let problem = FormatProblem::new(hidden.refusal(), hidden.message(), reporter);
    let body = ai::error::body(Some(call.provider_format().dialect()), &problem);
    changed_body::edit_head(&mut answered.head)?;
    let edits = &mut answered.head.edits;
    edits.remove(KnownName::ContentEncoding);
    edits.set(KnownName::ContentType, b"application/json").map_err(unwritable)?;
    answered.content.body.replace(Bytes::from(body));
    Ok(())
}
