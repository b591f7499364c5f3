//! The fields that published schemas require of stream events, read from the types of the official SDKs on 2026-11-21:
//! openai 3.51.0 for Python and 7.55.0 for Node, anthropic 2.10.0 for Python, google-genai 3.3.0. A nullable field must
//! still be present if the types for Node require it. The mock's tests read this file too.

use ai::Format;
use serde_json::Value;

/// An event's type, and its fields: `a.b` is within an object, `a[].b` within each element of a list.
type Event = (&'static str, &'static [&'static str]);

const CHAT: &[&str] =
    &["id", "created", "model", "object", "choices", "choices[].index", "choices[].delta", "choices[].finish_reason"];
const COMPLETIONS: &[&str] = &[
    "id",
    "created",
    "model",
    "object",
    "choices",
    "choices[].index",
    "choices[].text",
    "choices[].logprobs",
    "choices[].finish_reason",
];
const OPENAI_ERROR: &[&str] = &["error.message", "error.type", "error.param", "error.code"];
const GOOGLE_ERROR: &[&str] = &["error.code", "error.message", "error.status"];

/// Events that contain a whole response.
const RESPONSE: &[&str] = &[
    "sequence_number",
    "response.id",
    "response.object",
    "response.created_at",
    "response.model",
    "response.output",
    "response.error",
    "response.incomplete_details",
    "response.instructions",
    "response.metadata",
    "response.parallel_tool_calls",
    "response.temperature",
    "response.tool_choice",
    "response.tools",
    "response.top_p",
    "response.access_programs",
];
const ITEM: &[&str] = &["sequence_number", "output_index", "item.type", "item.id", "item.status"];
const PART: &[&str] =
    &["sequence_number", "output_index", "content_index", "item_id", "part.type", "part.text", "part.annotations"];
const RESPONSES: &[Event] = &[
    ("error", &["sequence_number", "code", "message", "param"]),
    ("response.created", RESPONSE),
    ("response.in_progress", RESPONSE),
    ("response.completed", RESPONSE),
    ("response.incomplete", RESPONSE),
    ("response.failed", RESPONSE),
    ("response.output_item.added", ITEM),
    ("response.output_item.done", ITEM),
    ("response.content_part.added", PART),
    ("response.content_part.done", PART),
    (
        "response.output_text.delta",
        &["sequence_number", "output_index", "content_index", "item_id", "delta", "logprobs"],
    ),
    ("response.output_text.done", &["sequence_number", "output_index", "content_index", "item_id", "text", "logprobs"]),
    ("response.function_call_arguments.delta", &["sequence_number", "output_index", "item_id", "delta"]),
    ("response.function_call_arguments.done", &["sequence_number", "output_index", "item_id", "name", "arguments"]),
];
/// The required fields of usage that is not null.
const RESPONSES_USAGE: &[&str] = &[
    "input_tokens",
    "input_tokens_details.cached_tokens",
    "output_tokens",
    "output_tokens_details.reasoning_tokens",
    "total_tokens",
];

const MESSAGES: &[Event] = &[
    (
        "message_start",
        &[
            "message.id",
            "message.type",
            "message.role",
            "message.model",
            "message.content",
            "message.stop_reason",
            "message.stop_sequence",
            "message.usage.input_tokens",
            "message.usage.output_tokens",
        ],
    ),
    ("content_block_start", &["index", "content_block.type"]),
    ("content_block_delta", &["index", "delta.type"]),
    ("content_block_stop", &["index"]),
    ("message_delta", &["delta.stop_reason", "delta.stop_sequence", "usage.output_tokens"]),
    ("message_stop", &[]),
    ("ping", &[]),
    ("error", &["error.type", "error.message", "request_id"]),
];

const PARTIAL_IMAGE: &[&str] =
    &["b64_json", "background", "created_at", "output_format", "partial_image_index", "quality", "size"];
const IMAGE: &[&str] = &[
    "b64_json",
    "background",
    "created_at",
    "output_format",
    "quality",
    "size",
    "usage.input_tokens",
    "usage.input_tokens_details.image_tokens",
    "usage.input_tokens_details.text_tokens",
    "usage.output_tokens",
    "usage.total_tokens",
];
const MEDIA: &[Event] = &[
    ("error", OPENAI_ERROR),
    ("image_generation.partial_image", PARTIAL_IMAGE),
    ("image_edit.partial_image", PARTIAL_IMAGE),
    ("image_generation.completed", IMAGE),
    ("image_edit.completed", IMAGE),
    ("speech.audio.delta", &["audio"]),
    ("speech.audio.done", &["usage.input_tokens", "usage.output_tokens", "usage.total_tokens"]),
    ("transcript.text.delta", &["delta"]),
    ("transcript.text.done", &["text"]),
];

/// Returns the fields that `event` lacks; an event that the schemas do not define is an error too.
pub(crate) fn missing(format: Format, event: &Value) -> Vec<String> {
    let is_error = !event["error"].is_null();
    let named = |events: &'static [Event]| {
        let kind = event["type"].as_str().unwrap_or_default();
        events.iter().find(|(name, _)| *name == kind).map(|(_, fields)| *fields)
    };
    let fields = match format {
        Format::Chat | Format::Completions if is_error => Some(OPENAI_ERROR),
        Format::Chat => Some(CHAT),
        Format::Completions => Some(COMPLETIONS),
        Format::GenerateContent if is_error => Some(GOOGLE_ERROR),
        // All fields of the schema are optional.
        Format::GenerateContent => Some(&[][..]),
        Format::Responses => named(RESPONSES),
        Format::Messages => named(MESSAGES),
        Format::Embeddings
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription
        | Format::Moderations => named(MEDIA),
    };
    let Some(fields) = fields else { return vec![format!("an event of this type: {event}")] };
    let usage = event.pointer("/response/usage").filter(|usage| format == Format::Responses && !usage.is_null());
    let of_usage = usage.map(|usage| RESPONSES_USAGE.iter().filter(|field| !has(usage, field)).copied());
    let lacking = fields.iter().filter(|field| !has(event, field)).copied();
    lacking.chain(of_usage.into_iter().flatten()).map(str::to_owned).collect()
}

fn has(value: &Value, field: &str) -> bool {
    let (first, rest) = field.split_once('.').map_or((field, None), |(first, rest)| (first, Some(rest)));
    if let Some(list) = first.strip_suffix("[]") {
        let elements = value.get(list).and_then(Value::as_array).into_iter().flatten();
        return elements.into_iter().all(|element| rest.is_none_or(|rest| has(element, rest)));
    }
    value.get(first).is_some_and(|inner| rest.is_none_or(|rest| has(inner, rest)))
}
