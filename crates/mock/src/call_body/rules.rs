//! Rules by which the real providers refuse calls of a conversation with 400 (read in their documentation and in threads of their
//! users until 2026-11-24). A client, or a translation, that breaks one would fail in production.

mod chat;
mod fields;
mod gemini;
mod messages;
mod responses;

use ai::Endpoint;

pub(crate) use fields::BrokenRule;

/// Checks the conversation of a call.
///
/// # Errors
/// The provider of the endpoint's format would refuse the call.
pub(crate) fn check(endpoint: Endpoint, model: &str, body: &[u8]) -> Result<(), BrokenRule> {
    // A body that is no JSON is refused elsewhere.
    let Ok(body) = serde_json::from_slice(body) else { return Ok(()) };
    match endpoint {
        Endpoint::ChatCompletions => chat::check(&body),
        Endpoint::Responses => responses::check(&body),
        Endpoint::Messages => messages::check(model, &body),
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => gemini::check(&body),
        _ => Ok(()),
    }
}
