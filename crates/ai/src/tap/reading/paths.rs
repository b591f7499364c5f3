//! The JSON paths of each format at which facts of a response are found.

use crate::format::Format;
use crate::scan::{ANY, Path};
use crate::streams::framing::ResponseFraming;

/// Numbers of the paths below.
pub(super) const USAGE: u8 = 0;
pub(super) const MODEL: u8 = 1;
pub(super) const ID: u8 = 2;
pub(super) const TIER: u8 = 3;
pub(super) const DELTA_USAGE: u8 = 3;
pub(super) const TYPE: u8 = 4;
pub(super) const FINISH: u8 = 4;
/// A path through the list whose elements are counted; it ends in a key that does not exist.
pub(super) const ITEMS: u8 = 5;
pub(super) const BLOCK: u8 = 5;
pub(super) const DURATION: u8 = 5;
/// The reason for which a Messages response stopped.
pub(super) const STOP: u8 = 5;
pub(super) const TOOLS: u8 = 5;
/// Usage that is reported beside a chunk's finish reason.
pub(super) const CHOICE_USAGE: u8 = 5;
pub(super) const GROUNDING: u8 = 6;
/// Paths in each item of a Responses response: the action of a search, its type, and its container.
pub(super) const ACTION: u8 = 6;
pub(super) const KIND: u8 = 7;
pub(super) const CONTAINER_ID: u8 = 8;
/// Paths in each tool of a Responses request, which the response repeats.
pub(super) const CONTAINER: u8 = 9;
pub(super) const ENVIRONMENT: u8 = 10;
/// The creation time of a chat stream or a Responses response.
pub(super) const CHUNK_CREATED: u8 = 6;
pub(super) const RESPONSE_CREATED: u8 = 11;
/// An error that a chat stream or Gemini reports within an event.
pub(super) const ERROR: u8 = 7;

/// The format does not report this fact.
const NOWHERE: Path = &[];

const OPENAI_BODY: &[Path] = &[&["usage"], &["model"], &["id"], &["service_tier"], &["choices", ANY, "finish_reason"]];
const RESPONSES_BODY: &[Path] = &[
    &["usage"],
    &["model"],
    &["id"],
    &["service_tier"],
    NOWHERE,
    &["tool_usage"],
    &["output", ANY, "action", "type"],
    &["output", ANY, "type"],
    &["output", ANY, "container_id"],
    &["tools", ANY, "container"],
    &["tools", ANY, "environment"],
];
const MESSAGES_BODY: &[Path] = &[&["usage"], &["model"], &["id"], NOWHERE, NOWHERE, &["stop_reason"]];
const MODERATIONS_BODY: &[Path] = &[NOWHERE, &["model"], &["id"], NOWHERE, NOWHERE, &["results", ANY, ""]];
const IMAGES_BODY: &[Path] = &[&["usage"], NOWHERE, NOWHERE, NOWHERE, NOWHERE, &["data", ANY, ""]];
const TRANSCRIPTION_BODY: &[Path] = &[&["usage"], NOWHERE, NOWHERE, NOWHERE, NOWHERE, &["duration"]];
/// Moonshot reports usage within the choice (platform.kimi.ai/docs/api/chat, 2026-11-21).
const CHUNK: &[Path] = &[
    &["usage"],
    &["model"],
    &["id"],
    &["service_tier"],
    &["choices", ANY, "finish_reason"],
    &["choices", ANY, "usage"],
    &["created"],
    &["error"],
];
const RESPONSES_EVENT: &[Path] = &[
    &["response", "usage"],
    &["response", "model"],
    &["response", "id"],
    &["response", "service_tier"],
    &["type"],
    &["response", "tool_usage"],
    &["response", "output", ANY, "action", "type"],
    &["response", "output", ANY, "type"],
    &["response", "output", ANY, "container_id"],
    &["response", "tools", ANY, "container"],
    &["response", "tools", ANY, "environment"],
    &["response", "created_at"],
];
const MESSAGES_EVENT: &[Path] = &[
    &["message", "usage"],
    &["message", "model"],
    &["message", "id"],
    &["usage"],
    &["type"],
    &["delta", "stop_reason"],
];
/// Events of images, speech and transcriptions.
const MEDIA_EVENT: &[Path] = &[&["usage"], NOWHERE, NOWHERE, NOWHERE, &["type"]];
/// Gemini's bodies and chunks have the same paths.
const GOOGLE: &[Path] = &[
    &["usageMetadata"],
    &["modelVersion"],
    &["responseId"],
    NOWHERE,
    &["candidates", ANY, "finishReason"],
    &["promptFeedback", "blockReason"],
    &["candidates", ANY, "groundingMetadata"],
    &["error"],
];

/// Returns the paths of a response in `format` and `framing`.
pub(super) const fn for_response(format: Format, framing: ResponseFraming) -> &'static [Path] {
    match (format, framing) {
        (_, ResponseFraming::Opaque) => &[],
        (Format::GenerateContent | Format::EmbedContent, _) => GOOGLE,
        (Format::Chat | Format::Completions | Format::Embeddings, ResponseFraming::Events) => CHUNK,
        (Format::Responses, ResponseFraming::Events) => RESPONSES_EVENT,
        (Format::Messages, ResponseFraming::Events) => MESSAGES_EVENT,
        (Format::Images | Format::Speech | Format::Transcription, ResponseFraming::Events) => MEDIA_EVENT,
        (Format::Chat | Format::Completions | Format::Embeddings, _) => OPENAI_BODY,
        (Format::Responses, _) => RESPONSES_BODY,
        (Format::Messages, _) => MESSAGES_BODY,
        (Format::Images, _) => IMAGES_BODY,
        (Format::Speech | Format::Transcription, _) => TRANSCRIPTION_BODY,
        (Format::Moderations, _) => MODERATIONS_BODY,
    }
}
