//! Translation of calls and responses between the formats of LLM providers, where a provider does not serve the client's.
//!
//! A request is decoded into one neutral call and encoded in the provider's format; what the provider has no
//! field for is dropped and named, or refused. A response is decoded into events and encoded in the client's
//! format, event by event. Usage is read, and money is counted, from the provider's own bytes: see [`crate::tap`].

mod arguments;
mod call;
mod call_ids;
mod capsule;
mod context;
pub mod conversation;
mod event;
mod google_path;
mod object_writer;
mod request;
mod response;
mod signature;

use bytes::Bytes;
use thiserror::Error;

pub use crate::failures::account_error::ProviderAccount;
use crate::format::Format;
use crate::provider::{ClaudeSurface, ProviderKind};

pub use context::ResponseContext;
pub use google_path::{GooglePath, requests_events};
pub use request::NativeTarget;
pub use response::{ResponseFailure, ResponseIds, ResponseTranslator, client_status, is_response};

/// The formats between which calls are translated.
pub const TRANSLATED: [Format; 4] = [Format::Chat, Format::Responses, Format::Messages, Format::GenerateContent];

/// Whether a call in the format `from` can be translated into `to`.
#[must_use]
pub fn is_translated(from: Format, to: Format) -> bool {
    from != to && TRANSLATED.contains(&from) && TRANSLATED.contains(&to)
}

/// What happens to `response_format: {type: json_object}` where the provider has no such field: `ai.translate.json_object`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JsonObject {
    /// A line of the system prompt requests one JSON object.
    #[default]
    Instruct,
    /// The call is refused.
    Refuse,
}

/// What happens to a field that the provider's format does not have: `ai.translate.dropped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DroppedFields {
    /// It is left out, and `x-tollgate-dropped` names it.
    #[default]
    Header,
    /// The call is refused.
    Refuse,
}

/// The target of a translated call, and the rules of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct TranslationOptions<'a> {
    /// What the path requests, if the client's format is Gemini's.
    pub google: GooglePath<'a>,
    /// The provider's own name of the model.
    pub model: &'a str,
    /// The name by which the rules of the model are known. The own one may be that of a deployment.
    pub known_model: &'a str,
    /// The kind of the provider.
    pub kind: ProviderKind,
    /// The host of the provider's URL.
    pub host: &'a str,
    /// The part of Anthropic's API that the provider has.
    pub surface: ClaudeSurface,
    /// The account at the provider: the configured provider's name, with the credential if it is the user's. A provider
    /// refuses the state that it gave to another account.
    pub owner: &'a str,
    /// The maximum output of the model in tokens, if known.
    pub output_tokens_max: Option<u64>,
    /// The rule for [`JsonObject`] outputs.
    pub json_object: JsonObject,
    /// The rule for [`DroppedFields`] of a call.
    pub dropped: DroppedFields,
    /// Whether the gateway marks what the provider caches, where the client's format has no such mark: `prompt_cache` of the target.
    pub prompt_cache: bool,
}

/// A call in the provider's format.
#[derive(Debug)]
pub struct TranslatedRequest {
    /// The body, in JSON.
    pub body: Bytes,
    /// The fields of the client's request that were left out, as paths such as `logit_bias`; the value of `x-tollgate-dropped`.
    pub dropped: Vec<String>,
    /// What the translation of the response needs to know.
    pub context: ResponseContext,
}

/// A call that passes in the client's format, changed for its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FittedCall {
    /// The body, in JSON.
    pub body: Bytes,
    /// The fields of the client's request that were left out; the value of `x-tollgate-dropped`.
    pub dropped: Vec<String>,
}

/// The reason why a call cannot be translated. The text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct UntranslatableCall {
    /// The field of the client's request that caused the error.
    pub param: String,
    /// The reason, and advice for the client.
    pub message: String,
}

/// Translates a request body from the client's format into the provider's. `body` was accepted by [`crate::request::read`].
///
/// `room` is called with a number of bytes before the translation uses them, besides `body`: those of the call in its neutral
/// form, and about those of the result. All of them except the result are free again when this function returns. The
/// translation ends if `room` returns `false`. A call that needs less than 64 KiB does not call it.
///
/// # Errors
/// Returns the field that has no meaning in the provider's format, or `body` if there is no room.
pub fn request(
    from: Format,
    to: Format,
    body: &[u8],
    options: &TranslationOptions<'_>,
    room: &mut dyn FnMut(usize) -> bool,
) -> Result<TranslatedRequest, UntranslatableCall> {
    request::translate(from, to, body, options, room)
}

/// Whether [`without_state`] may change a body, for which it needs about as much memory as the body has.
#[must_use]
pub fn may_have_state(format: Format, body: &[u8]) -> bool {
    request::may_have_state(format, body)
}

/// Returns the body of a call that is passed through, without the state that Tollgate gave to the client in responses of other
/// providers; `None` if the body has none. The provider would refuse the call, as it cannot read the state. `known_model` is
/// the name by which the rules of the model are known.
#[must_use]
pub fn without_state(format: Format, known_model: &str, body: &[u8]) -> Option<Bytes> {
    request::without_state(format, known_model, body)
}

/// Returns a call of Messages as a host of Claude takes it, of which the client knows nothing; `None` if it takes the call as it
/// is. `betas` are the values of the client's `anthropic-beta`, with commas. The host refuses a body of another form itself.
#[must_use]
pub fn fit_to_surface(surface: ClaudeSurface, betas: &str, body: &[u8]) -> Option<FittedCall> {
    request::fit_to_surface(surface, betas, body)
}

/// Returns a call that passes in its client's format as a model takes it which the client has not named; `None` if it takes the
/// call as it is.
///
/// # Errors
/// Returns the field that the model's provider cannot obey.
pub fn fit_to_model(
    format: Format,
    target: NativeTarget<'_>,
    body: &[u8],
) -> Result<Option<FittedCall>, UntranslatableCall> {
    request::fit_to_model(format, target, body)
}

/// Returns the efforts of reasoning that the model with this name accepts, in OpenAI's words; none for a model of which no source
/// says that it has any.
#[must_use]
pub fn efforts(model: &str) -> Vec<&'static str> {
    request::efforts(model)
}

/// Returns the body of an error about the length of a call in the words of `format`, by which its clients recognize it; `None` for
/// any other error, one that has these words, and formats without such words. Its status is 400.
#[must_use]
pub fn context_error(format: Format, status: u16, body: &[u8], request_id: &str) -> Option<Bytes> {
    response::context_error(format, status, body, request_id)
}
