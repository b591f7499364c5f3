//! The members that public schemas require, and their types: Open Responses (`openapi.json` of github.com/openresponses, commit
//! 3452c012) and the types of Anthropic's SDK for Node (2.x), both read 2026-11-30.

use serde_json::Value;

use super::rules::events;
use super::*;
use crate::translate::{DroppedFields, GooglePath, JsonObject, TranslationOptions};

/// A member and its type: words of JSON Schema.
type Member = (&'static str, &'static [&'static str]);

const NULLABLE_TEXT: &[&str] = &["string", "null"];
const NULLABLE_COUNT: &[&str] = &["integer", "null"];
const NULLABLE_OBJECT: &[&str] = &["object", "null"];

#[rustfmt::skip]
const RESPONSE: &[Member] = &[
    ("id", &["string"]), ("object", &["string"]), ("created_at", &["integer"]), ("completed_at", NULLABLE_COUNT),
    ("status", &["string"]), ("incomplete_details", NULLABLE_OBJECT), ("model", &["string"]),
    ("previous_response_id", NULLABLE_TEXT), ("instructions", &["string", "array", "null"]), ("output", &["array"]),
    ("error", NULLABLE_OBJECT), ("tools", &["array"]), ("tool_choice", &["string", "object"]), ("truncation", &["string"]),
    ("parallel_tool_calls", &["boolean"]), ("text", &["object"]), ("top_p", &["number"]), ("presence_penalty", &["number"]),
    ("frequency_penalty", &["number"]), ("top_logprobs", &["integer"]), ("temperature", &["number"]),
    ("reasoning", NULLABLE_OBJECT), ("user", NULLABLE_TEXT), ("usage", NULLABLE_OBJECT), ("max_output_tokens", NULLABLE_COUNT),
    ("max_tool_calls", NULLABLE_COUNT), ("store", &["boolean"]), ("background", &["boolean"]), ("service_tier", &["string"]),
    ("metadata", &["object"]), ("safety_identifier", NULLABLE_TEXT), ("prompt_cache_key", NULLABLE_TEXT),
];
#[rustfmt::skip]
const RESPONSE_USAGE: &[Member] = &[
    ("input_tokens", &["integer"]), ("input_tokens_details", &["object"]), ("output_tokens", &["integer"]),
    ("output_tokens_details", &["object"]), ("total_tokens", &["integer"]),
];
/// The items of the output by their `type`.
#[rustfmt::skip]
const ITEMS: &[(&str, &[Member])] = &[
    ("message", &[("id", &["string"]), ("status", &["string"]), ("role", &["string"]), ("content", &["array"])]),
    ("reasoning", &[("id", &["string"]), ("summary", &["array"])]),
    ("function_call", &[("id", &["string"]), ("call_id", &["string"]), ("name", &["string"]), ("arguments", &["string"]), ("status", &["string"])]),
    ("custom_tool_call", &[("id", &["string"]), ("call_id", &["string"]), ("name", &["string"]), ("input", &["string"])]),
    ("image_generation_call", &[("id", &["string"]), ("status", &["string"]), ("result", NULLABLE_TEXT)]),
];
/// The parts of messages and summaries.
#[rustfmt::skip]
const PARTS: &[(&str, &[Member])] = &[
    ("output_text", &[("text", &["string"]), ("annotations", &["array"]), ("logprobs", &["array"])]),
    ("refusal", &[("refusal", &["string"])]),
    ("summary_text", &[("text", &["string"])]),
];
/// The members of each event besides `type` and `sequence_number`.
#[rustfmt::skip]
const RESPONSE_EVENTS: &[(&str, &[Member])] = &[
    ("response.created", &[("response", &["object"])]),
    ("response.in_progress", &[("response", &["object"])]),
    ("response.completed", &[("response", &["object"])]),
    ("response.incomplete", &[("response", &["object"])]),
    ("response.failed", &[("response", &["object"])]),
    ("response.output_item.added", &[("output_index", &["integer"]), ("item", &["object"])]),
    ("response.output_item.done", &[("output_index", &["integer"]), ("item", &["object"])]),
    ("response.content_part.added", &[("item_id", &["string"]), ("output_index", &["integer"]), ("content_index", &["integer"]), ("part", &["object"])]),
    ("response.content_part.done", &[("item_id", &["string"]), ("output_index", &["integer"]), ("content_index", &["integer"]), ("part", &["object"])]),
    ("response.output_text.delta", &[("item_id", &["string"]), ("output_index", &["integer"]), ("content_index", &["integer"]), ("delta", &["string"]), ("logprobs", &["array"])]),
    ("response.output_text.done", &[("item_id", &["string"]), ("output_index", &["integer"]), ("content_index", &["integer"]), ("text", &["string"]), ("logprobs", &["array"])]),
    ("response.refusal.delta", &[("item_id", &["string"]), ("output_index", &["integer"]), ("content_index", &["integer"]), ("delta", &["string"])]),
    ("response.refusal.done", &[("item_id", &["string"]), ("output_index", &["integer"]), ("content_index", &["integer"]), ("refusal", &["string"])]),
    ("response.reasoning_summary_part.added", &[("item_id", &["string"]), ("output_index", &["integer"]), ("summary_index", &["integer"]), ("part", &["object"])]),
    ("response.reasoning_summary_part.done", &[("item_id", &["string"]), ("output_index", &["integer"]), ("summary_index", &["integer"]), ("part", &["object"])]),
    ("response.reasoning_summary_text.delta", &[("item_id", &["string"]), ("output_index", &["integer"]), ("summary_index", &["integer"]), ("delta", &["string"])]),
    ("response.reasoning_summary_text.done", &[("item_id", &["string"]), ("output_index", &["integer"]), ("summary_index", &["integer"]), ("text", &["string"])]),
    ("response.function_call_arguments.delta", &[("item_id", &["string"]), ("output_index", &["integer"]), ("delta", &["string"])]),
    ("response.function_call_arguments.done", &[("item_id", &["string"]), ("output_index", &["integer"]), ("name", &["string"]), ("arguments", &["string"])]),
    ("response.custom_tool_call_input.delta", &[("item_id", &["string"]), ("output_index", &["integer"]), ("delta", &["string"])]),
    ("response.custom_tool_call_input.done", &[("item_id", &["string"]), ("output_index", &["integer"]), ("input", &["string"])]),
    ("error", &[("code", NULLABLE_TEXT), ("message", &["string"]), ("param", NULLABLE_TEXT)]),
];

#[rustfmt::skip]
const MESSAGE: &[Member] = &[
    ("id", &["string"]), ("type", &["string"]), ("role", &["string"]), ("model", &["string"]), ("container", NULLABLE_OBJECT),
    ("content", &["array"]), ("stop_reason", NULLABLE_TEXT), ("stop_sequence", NULLABLE_TEXT), ("stop_details", NULLABLE_OBJECT),
    ("usage", &["object"]),
];
#[rustfmt::skip]
const MESSAGE_USAGE: &[Member] = &[
    ("input_tokens", &["integer"]), ("cache_creation_input_tokens", NULLABLE_COUNT), ("cache_read_input_tokens", NULLABLE_COUNT),
    ("cache_creation", NULLABLE_OBJECT), ("output_tokens", &["integer"]), ("output_tokens_details", NULLABLE_OBJECT),
    ("server_tool_use", NULLABLE_OBJECT), ("service_tier", NULLABLE_TEXT), ("inference_geo", NULLABLE_TEXT),
];
#[rustfmt::skip]
const MESSAGE_DELTA: &[Member] = &[
    ("container", NULLABLE_OBJECT), ("stop_reason", NULLABLE_TEXT), ("stop_sequence", NULLABLE_TEXT), ("stop_details", NULLABLE_OBJECT),
];
/// The blocks of a message.
#[rustfmt::skip]
const BLOCKS: &[(&str, &[Member])] = &[
    ("text", &[("text", &["string"]), ("citations", &["array", "null"])]),
    ("thinking", &[("thinking", &["string"]), ("signature", &["string"])]),
    ("redacted_thinking", &[("data", &["string"])]),
    ("tool_use", &[("id", &["string"]), ("name", &["string"]), ("input", &["object"])]),
    ("image", &[("source", &["object"])]),
];

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    }
}

fn check(what: &str, object: &Value, members: &[Member]) {
    for (name, kinds) in members {
        let value = object.get(*name).unwrap_or_else(|| panic!("{what} lacks {name}: {object}"));
        assert!(kinds.iter().any(|kind| is_of(value, kind)), "{what}: {name} must be {kinds:?}: {object}");
    }
}

/// Checks an object by its `type`.
fn check_typed(what: &str, object: &Value, kinds: &[(&str, &[Member])]) {
    let kind = object["type"].as_str().unwrap_or_else(|| panic!("{what} has no type: {object}"));
    let members = kinds.iter().find(|(name, _)| *name == kind).unwrap_or_else(|| panic!("{what}: {kind}"));
    check(kind, object, members.1);
}

fn check_response(response: &Value) {
    check("a response", response, RESPONSE);
    check("text", &response["text"], &[("format", &["object"])]);
    check("reasoning", &response["reasoning"], &[("effort", NULLABLE_TEXT), ("summary", NULLABLE_TEXT)]);
    assert_eq!(response["completed_at"].is_u64(), response["status"] == "completed", "{response}");
    if !response["usage"].is_null() {
        check("usage", &response["usage"], RESPONSE_USAGE);
    }
    response["output"].as_array().unwrap().iter().for_each(check_item);
    for tool in response["tools"].as_array().unwrap().iter().filter(|tool| tool["type"] == "function") {
        check(
            "a tool",
            tool,
            &[("name", &["string"]), ("description", NULLABLE_TEXT), ("parameters", NULLABLE_OBJECT)],
        );
        check("a tool", tool, &[("strict", &["boolean", "null"])]);
    }
}

fn check_item(item: &Value) {
    check_typed("an item", item, ITEMS);
    for list in ["content", "summary"] {
        item[list].as_array().into_iter().flatten().for_each(|part| check_typed("a part", part, PARTS));
    }
}

fn check_message(message: &Value) {
    check("a message", message, MESSAGE);
    check("usage", &message["usage"], MESSAGE_USAGE);
    message["content"].as_array().unwrap().iter().for_each(|block| check_typed("a block", block, BLOCKS));
}

/// Checks every object of a stream.
fn check_events(client: Format, stream: &str) {
    for (_, event) in events(stream) {
        if client == Format::Responses {
            check_typed("an event", &event, RESPONSE_EVENTS);
            check("an event", &event, &[("sequence_number", &["integer"])]);
            event.get("response").into_iter().for_each(check_response);
            event.get("item").into_iter().for_each(check_item);
            event.get("part").into_iter().for_each(|part| check_typed("a part", part, PARTS));
        } else {
            event.get("message").into_iter().for_each(check_message);
            event.get("content_block").into_iter().for_each(|block| check_typed("a block", block, BLOCKS));
            if event["type"] == "message_delta" {
                check("a delta", &event["delta"], MESSAGE_DELTA);
                check("usage", &event["usage"], MESSAGE_USAGE);
            }
        }
    }
}

#[test]
fn every_object_of_a_translated_response_has_the_members_that_its_schema_requires() {
    for client in [Format::Responses, Format::Messages] {
        for (provider, stream) in STREAMS.into_iter().filter(|(provider, _)| *provider != client) {
            check_events(client, &streamed(client, provider, stream));
        }
        for (provider, bytes) in bodies::BODIES.into_iter().filter(|(provider, _)| *provider != client) {
            let whole = body(client, provider, ResponseFraming::Json, 200, bytes);
            if client == Format::Responses { check_response(&whole) } else { check_message(&whole) }
        }
        let cut = chunks(&[r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"length"}]}"#, "[DONE]"]);
        let refused = chunks(&[
            r#"{"choices":[{"index":0,"delta":{"refusal":"no"},"finish_reason":"content_filter"}]}"#,
            "[DONE]",
        ]);
        let failed = chunks(&[
            r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#,
            r#"{"error":{"message":"m","code":500}}"#,
        ]);
        for stream in [cut, refused, failed] {
            check_events(client, &streamed(client, Format::Chat, &stream));
        }
    }
}

#[test]
fn a_response_repeats_the_values_in_force_and_has_the_time_of_its_end() {
    let call = br#"{"model":"m","input":"x","temperature":0.2,"top_p":null,"reasoning":{"effort":"low"},"tools":[{"type":"function","name":"f"}]}"#;
    let shown = |model: &str| {
        let options = TranslationOptions {
            google: GooglePath::default(),
            model,
            known_model: model,
            kind: ProviderKind::OpenAi,
            host: if model.starts_with("gpt") { "api.openai.com" } else { "host" },
            surface: crate::ClaudeSurface::Anthropic,
            owner: "p",
            output_tokens_max: None,
            json_object: JsonObject::default(),
            dropped: DroppedFields::Header,
            prompt_cache: false,
        };
        let translated = crate::translate::request(Format::Responses, Format::Chat, call, &options, &mut |_| true);
        let context = translated.unwrap().context;
        let mut translator = ResponseTranslator::new(context, IDS, ResponseFraming::Json, 200);
        translator.push(br#"{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}"#);
        assert!(translator.has_end_time());
        translator.set_time(1_790_000_060);
        let whole: Value = serde_json::from_slice(&translator.end()).unwrap();
        check_response(&whole);
        assert_eq!(whole["completed_at"], 1_790_000_060);
        (whole["temperature"].as_f64(), whole["top_p"].as_f64(), whole["reasoning"]["effort"].clone())
    };
    assert_eq!(shown("qwen3"), (Some(0.2), Some(1.0), Value::Null), "the model has no effort");
    assert_eq!(shown("gpt-5.2"), (Some(1.0), Some(1.0), Value::from("low")), "the model has no temperature");
}
