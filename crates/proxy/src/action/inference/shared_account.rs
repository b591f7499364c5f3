//! Errors of a provider about the operator's account, which a call with the operator's credential does not show to the
//! client, who would take them for errors of the client's account at the gateway.

use access::Refusal;
use ai::FormatProblem;
use ai::failure::{ProviderError, ProviderErrorKind};
use bytes::Bytes;
use http1::KnownName;

use super::early::read_error;
use super::target_call::TargetCall;
use crate::account::RequestAccount;
use crate::action::changed_body;
use crate::forward::{UpstreamResponse, unwritable};
use crate::refusal::problem::Problem;

/// The status of a refused credential. A provider without a configured one refuses the operator too.
const UNAUTHORIZED: u16 = 401;
/// The status of an unknown model, whose body names the project of a service account.
const NOT_FOUND: u16 = 404;
/// The status of a used-up rate limit.
const TOO_MANY_REQUESTS: u16 = 429;

/// Whether a response may be about the operator's account, as its body then shows.
pub(super) fn may_concern(call: &TargetCall<'_>, answered: &UpstreamResponse) -> bool {
    is_status_of_account(call, answered.head.head.status())
}

fn is_status_of_account(call: &TargetCall<'_>, status: u16) -> bool {
    match status {
        UNAUTHORIZED => !call.is_own(),
        400..=403 | TOO_MANY_REQUESTS => call.is_shared(),
        NOT_FOUND => call.is_shared() && call.is_of_project(),
        _ => false,
    }
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

/// Replaces the body of a response to a call that exceeds a rate limit of the operator's account, or whose model its project does
/// not have. Of errors that follow a successful head, the translation hides that.
///
/// # Errors
/// The provider refuses the operator's credential, whose ends the response may contain, or its account has no money left.
pub(super) fn hide(
    call: &TargetCall<'_>,
    account: &RequestAccount,
    answered: &mut UpstreamResponse,
    error: &ProviderError,
) -> Result<(), Problem> {
    let follows_success = answered.head.head.is_success();
    let status = if follows_success { error.status } else { answered.head.head.status() };
    let may_concern = is_status_of_account(call, status) || (follows_success && call.is_shared());
    if !may_concern {
        return Ok(());
    }
    let of_account = match error.kind {
        ProviderErrorKind::Credential => "credential",
        ProviderErrorKind::Quota => "account",
        ProviderErrorKind::Status if status == TOO_MANY_REQUESTS && !follows_success => {
            let shown = if error.is_too_large { ShownError::TooLarge } else { ShownError::TooEarly };
            return replace(call, account, answered, shown);
        }
        ProviderErrorKind::Status | ProviderErrorKind::NotFound if status == NOT_FOUND && !follows_success => {
            return replace(call, account, answered, ShownError::NoModel);
        }
        ProviderErrorKind::Status | ProviderErrorKind::NotFound | ProviderErrorKind::Context => return Ok(()),
    };
    let message = format!("the provider of this model refuses the gateway's {of_account}: tell the operator");
    let mut problem = Problem::new(Refusal::UpstreamProtocol, message);
    problem.source = Some(format!("the provider responded with {status} to a credential that is not the user's"));
    Err(problem)
}

/// The error that a client gets in place of one that names the operator's account.
#[derive(Clone, Copy)]
enum ShownError {
    TooEarly,
    TooLarge,
    NoModel,
}

impl ShownError {
    /// Returns the code, the word in the log, and the message for the client.
    const fn parts(self) -> (Refusal, &'static str, &'static str) {
        match self {
            Self::TooEarly => {
                let message = "the provider of this model takes no more calls at the moment: try again later";
                (Refusal::RateLimited, "rate", message)
            }
            Self::TooLarge => {
                let message =
                    "request too large: the provider of this model takes fewer tokens in one minute: shorten the call";
                (Refusal::RateLimited, "size", message)
            }
            Self::NoModel => {
                let message = "the provider does not have this model, or not for the gateway: correct its name, or tell the operator";
                (Refusal::ModelNotFound, "model", message)
            }
        }
    }
}

/// Replaces the body by one of the provider's format. The status and `Retry-After` remain.
fn replace(
    call: &TargetCall<'_>,
    account: &RequestAccount,
    answered: &mut UpstreamResponse,
    shown: ShownError,
) -> Result<(), Problem> {
    let (refusal, cause, message) = shown.parts();
    let (provider, model) = (call.provider(), call.model());
    // The body names the operator's account.
    tracing::info!(request_id = %account.request.id, provider, model, cause, "the operator's account at a provider refuses a call");
    let request_id = account.request.id.to_string();
    let reporter = ai::Reporter { domain: account.request.snapshot.process.brand.slug(), request_id: &request_id };
    let problem = FormatProblem::new(refusal, message, reporter);
    let body = ai::error::body(Some(call.provider_format().dialect()), &problem);
    changed_body::edit_head(&mut answered.head)?;
    let edits = &mut answered.head.edits;
    edits.remove(KnownName::ContentEncoding);
    edits.set(KnownName::ContentType, b"application/json").map_err(unwritable)?;
    answered.content.body.replace(Bytes::from(body));
    Ok(())
}
