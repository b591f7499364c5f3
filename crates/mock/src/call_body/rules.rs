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
pub(crate) fn check(endpoint: Endpoint, body: &[u8]) -> Result<(), BrokenRule> {
    let check = match endpoint {
        Endpoint::ChatCompletions => chat::check,
        Endpoint::Responses => responses::check,
        Endpoint::Messages => messages::check,
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => gemini::check,
        _ => return Ok(()),
    };
    match serde_json::from_slice(body) {
        Ok(body) => check(&body),
        // A body that is no JSON is refused elsewhere.
        Err(_) => Ok(()),
    }
}
