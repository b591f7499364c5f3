//! Models and responses of Bedrock's `runtime` endpoint, as the rest of the gateway reads them: streams of events, and errors of Messages.

use access::Refusal;
use ai::ProviderPaths;
use ai::hosts::bedrock::{MEDIA_TYPE, RuntimeError, has_messages};
use bytes::Bytes;
use config::snapshot::Provider;
use http1::KnownName;

use super::early::read_error;
use super::parsed_call::JSON;
use crate::account::RequestAccount;
use crate::forward::UpstreamResponse;
use crate::refusal::problem::Problem;
use crate::upstream::response_head::RelayedHead;

/// The name of the exception, in an error.
const ERROR_TYPE: &[u8] = b"x-amzn-errortype";
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// Refuses a model that the endpoint does not serve in the format of Messages. `known_model` is the name by which its rules are
/// known.
pub(super) fn check_model(provider: &Provider, known_model: &str) -> Result<(), Problem> {
    if provider.paths != ProviderPaths::BedrockRuntime || has_messages(known_model) {
        return Ok(());
    }
    let message = "this model has no Messages API at Bedrock's `runtime` endpoint, where Tollgate serves Claude only: call a model of \
                   Claude, or ask the operator for a provider with `endpoint: mantle`";
    Err(Problem::new(Refusal::FormatMismatch, message).of_param(Some("model")))
}

/// Gives a response the media type and the status that Messages has, and reads its body accordingly.
///
/// # Errors
/// The response is compressed, so that its frames cannot be read.
pub(super) async fn read(account: &mut RequestAccount, answered: &mut UpstreamResponse) -> Result<(), Problem> {
    let status = answered.head.head.status();
    if status >= 400 {
        let now = account.request.read_clock();
        let body = read_error(answered, now).await;
        let error_type = answered.head.head.fields().named(ERROR_TYPE).next().map(<[u8]>::to_vec);
        let error_type = error_type.as_deref().and_then(|name| std::str::from_utf8(name).ok());
        let RuntimeError { status, body } = RuntimeError::of_response(status, error_type, &body);
        replace(&mut answered.head, status, JSON)?;
        answered.content.body.replace(Bytes::from(body));
        return Ok(());
    }
    if !answered.head.head.text(KnownName::ContentType).is_some_and(is_of_frames) {
        return Ok(());
    }
    if answered.head.head.is_compressed() {
        let message = "the provider compressed its response, which Tollgate did not request, so that its frames cannot be read: \
                       tell the operator";
        return Err(Problem::new(Refusal::UpstreamProtocol, message));
    }
    replace(&mut answered.head, status, EVENT_STREAM)?;
    answered.content.body.read_frames();
    Ok(())
}

/// Replaces status and media type. The fields of the previous content are removed.
pub(super) fn replace(relayed: &mut RelayedHead, status: u16, media_type: &str) -> Result<(), Problem> {
    let invalid = || Problem::new(Refusal::Internal, "the head of the provider's response cannot be written");
    relayed.head = relayed.head.with_content(status, media_type).ok_or_else(invalid)?;
    relayed.is_changed = true;
    relayed.may_have_trailers = false;
    Ok(())
}

/// Whether a media type is that of frames.
fn is_of_frames(media_type: &str) -> bool {
    media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(MEDIA_TYPE)
}
