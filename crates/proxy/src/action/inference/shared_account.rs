//! Errors of a provider that the client gets in other words. Errors about the operator's account would be taken for errors of
//! the client's account at the gateway; clients shorten a conversation only after the words of their format.

use access::Refusal;
use ai::FormatProblem;
use ai::failures::account_error::HiddenError;
use ai::failures::failure::{ProviderError, ProviderErrorKind};
use ai::translate::context_error;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use http1::KnownName;

use super::early::read_error;
use super::target_call::TargetCall;
use crate::account::{InferenceCall, RequestAccount};
use crate::action::changed_body;
use crate::forward::{UpstreamResponse, unwritable};
use crate::refusal::problem::Problem;

/// The header by which the SDKs of OpenAI and Anthropic do not repeat a call.
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// The status of an error about the length of a call, in all formats.
const BAD_REQUEST: u16 = 400;
/// The status of a refused credential. A provider without a configured one refuses the operator too.
const UNAUTHORIZED: u16 = 401;

/// The statuses of errors about the length of a call.
const TOO_LONG: [u16; 3] = [400, 413, 422];

/// Whether the body of a response decides what the client gets: it may be about the operator's account, or about the length of
/// a call that is not translated.
pub(super) fn is_decisive(call: &TargetCall<'_>, answered: &UpstreamResponse) -> bool {
    let status = answered.head.head.status();
    let is_of_account = status >= 400 && call.is_shared() || status == UNAUTHORIZED && !call.is_own();
    is_of_account || (TOO_LONG.contains(&status) && answered.translated.is_none())
}

/// Reads the body of an error, and words it for the client as [`reword`] does.
pub(super) async fn read_and_reword(
    call: &TargetCall<'_>,
    account: &mut RequestAccount,
    answered: &mut UpstreamResponse,
) -> Result<(), Problem> {
    let now = account.request.read_clock();
    let body = read_error(answered, now).await;
    let error = ProviderError::of_response(answered.head.head.status(), &body);
    reword(call, account, answered, &ReadError { error, body: &body })
}

/// The error of a provider, and the body from which it was read; empty for an event of a stream.
pub(super) struct ReadError<'a> {
    pub(super) error: ProviderError,
    pub(super) body: &'a [u8],
}

/// Hides the operator's account as [`hide`] does. An error about the length of a call gets the words of the client's format.
pub(super) fn reword(
    call: &TargetCall<'_>,
    account: &RequestAccount,
    answered: &mut UpstreamResponse,
    read: &ReadError<'_>,
) -> Result<(), Problem> {
    if HiddenError::from_error(&read.error, call.account(), call.is_of_project()).is_some() {
        return hide(call, account, answered, &read.error);
    }
    let head = &answered.head.head;
    if read.error.kind != ProviderErrorKind::Context || answered.translated.is_some() || head.is_success() {
        return Ok(());
    }
    let request_id = account.request.id.to_string();
    let own_words = context_error(call.provider_format(), head.status(), read.body, &request_id);
    let Some(body) = own_words else { return Ok(()) };
    if let Ok(head) = head.with_status(BAD_REQUEST) {
        answered.head.head = head;
    }
    put_body(answered, body)
}

/// Replaces the body of an error about the operator's account, as [`HiddenError::from_error`] decides. Errors that follow
/// a successful head are replaced on their way to the client.
///
/// # Errors
/// The client can do nothing about the error: for example, the provider refuses the operator's credential, whose ends the
/// response may contain, or its account has no money left.
fn hide(
    call: &TargetCall<'_>,
    account: &RequestAccount,
    answered: &mut UpstreamResponse,
    error: &ProviderError,
) -> Result<(), Problem> {
    let Some(hidden) = HiddenError::from_error(error, call.account(), call.is_of_project()) else { return Ok(()) };
    if hidden.refusal() == Refusal::UpstreamProtocol {
        if error.is_lasting {
            call.refuse_credential(account);
        }
        let mut problem = lasting(hidden);
        problem.source =
            Some(format!("the provider responded with {} to a credential that is not the user's", error.status));
        return Err(problem);
    }
    if answered.head.head.is_success() { Ok(()) } else { replace(call, account, answered, hidden) }
}

/// Returns the refusal of a call with a credential that the provider has lastingly refused within the last minute.
///
/// # Errors
/// The credential is not tried again yet.
pub(super) fn check_credential(call: &TargetCall<'_>, account: &RequestAccount) -> Result<(), Problem> {
    if !call.is_credential_refused(account) {
        return Ok(());
    }
    let mut problem = lasting(HiddenError::Credential);
    problem.source =
        Some("the provider refused the credential less than a minute ago, and gets no call yet".to_owned());
    Err(problem)
}

/// Returns the refusal of a call that fails until the operator acts: no client repeats it.
fn lasting(hidden: HiddenError) -> Problem {
    Problem::new(hidden.refusal(), hidden.message()).header(X_SHOULD_RETRY, HeaderValue::from_static("false"))
}

/// Notes in the log that the client got another error than that of the provider, which names the operator's account.
pub(crate) fn note(account: &RequestAccount, call: &InferenceCall, hidden: HiddenError) {
    let provider = &*call.provider.name;
    let model = &*call.model;
    let cause = hidden.cause();
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
    put_body(answered, Bytes::from(body))
}

/// Replaces the body of a response by JSON.
fn put_body(answered: &mut UpstreamResponse, body: Bytes) -> Result<(), Problem> {
    changed_body::edit_head(&mut answered.head)?;
    let edits = &mut answered.head.edits;
    edits.remove(KnownName::ContentEncoding);
    edits.set(KnownName::ContentType, b"application/json").map_err(unwritable)?;
    answered.content.body.replace(body);
    Ok(())
}
