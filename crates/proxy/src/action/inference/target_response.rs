//! What a client gets of the response of a target: how its events are framed, and what the gateway changes in its head.

use ai::tap::ResponseFraming;
use ai::translate::requests_events;
use ai::{Format, ResponseEdits};
use http1::{InvalidPart, KnownName};

use super::account_objects::OwnedCall;
use super::recognition;
use super::translation::name_dropped;
use crate::account::{InferenceCall, RequestAccount};
use crate::forward::{UpstreamResponse, unwritable};
use crate::refusal::problem::Problem;
use crate::transform;
use crate::upstream::response_head::RelayedHead;

/// The name for machines of the brand whose headers responses have.
const PRODUCT: &str = "tollgate";

/// Reads how a response begins, where its head does not say it, and edits its head for the client.
pub(super) async fn edit_head(
    call: &InferenceCall,
    account: &mut RequestAccount,
    answered: &mut UpstreamResponse,
    dropped: &[String],
) -> Result<(), Problem> {
    if recognition::is_needed(answered, call.provider_format, call.streamed) && !expects_array(call, account) {
        // Boxed, because providers that name their streams do not need it.
        Box::pin(recognition::recognize(account, answered)).await?;
    }
    transform::from_provider(&mut answered.head).map_err(unwritable)?;
    if !dropped.is_empty() {
        name_dropped(&mut answered.head.edits, dropped).map_err(unwritable)?;
    }
    if !answered.head.head.text(KnownName::ContentType).is_some_and(is_audio) {
        account.forget_billable();
    }
    Ok(())
}

/// Whether the provider sends its stream as one JSON array, whose media type is right.
fn expects_array(call: &InferenceCall, account: &RequestAccount) -> bool {
    call.provider_format == Format::GenerateContent
        && call.format == Format::GenerateContent
        && !requests_events(account.request.head.query())
}

/// Returns the edits of a response in the client's format. `name` is the model's name for the client, if it is another one.
pub(super) fn response_edits(name: Option<&str>, owned: Option<OwnedCall>) -> ResponseEdits {
    let edits = name.map_or_else(ResponseEdits::default, |name| ResponseEdits::default().with_model(name));
    let Some(OwnedCall { owner, fields, makes_objects }) = owned else { return edits };
    let edits = edits.with_restored(fields.restored);
    if makes_objects { edits.with_owner(owner) } else { edits }
}

/// Names the provider and its own name of the model in the head of a response. Under another brand it does not: the header would
/// tell clients whose gateway it is.
pub(super) fn name_target(
    account: &RequestAccount,
    answered: &mut UpstreamResponse,
    provider: &str,
    model: &str,
) -> Result<(), InvalidPart> {
    if account.request.snapshot.process.brand.slug() != PRODUCT {
        return Ok(());
    }
    let parts = [provider.as_bytes(), b"/", without_account(model).as_bytes()];
    answered.head.edits.set_parts(KnownName::XTollgateModel, &parts)
}

/// Returns the name of a model without the account of Amazon that its ARN has.
fn without_account(model: &str) -> &str {
    if !model.starts_with("arn:") {
        return model;
    }
    model.rsplit_once('/').map_or(model, |(_, name)| name)
}

/// Returns the framing of a response's events.
pub(super) fn framing(format: Format, relayed: &RelayedHead, is_streamed: bool) -> ResponseFraming {
    match ResponseFraming::from_content_type(format, is_streamed, relayed.head.text(KnownName::ContentType)) {
        // An error response is one body, whatever its media type. Nothing is added to it.
        ResponseFraming::Events | ResponseFraming::Array if !relayed.head.is_success() => ResponseFraming::Json,
        framing @ (ResponseFraming::Json
        | ResponseFraming::Events
        | ResponseFraming::Array
        | ResponseFraming::Opaque) => framing,
    }
}

/// Returns whether a response is audio, and not an error page.
fn is_audio(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("audio/") || essence == "application/octet-stream"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_model_is_shown_without_the_account_of_its_arn() {
        const PROFILE: &str = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc";
        for (model, expected) in [(PROFILE, "abc"), ("anthropic/claude:0", "anthropic/claude:0"), ("m", "m")] {
            assert_eq!(without_account(model), expected);
        }
    }
}
