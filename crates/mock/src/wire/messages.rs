//! Anthropic Messages: `POST /v1/messages`, with one content block: text or a tool call.

use hyper::body::Bytes;

use super::HOLE;
use super::event::{id, named};
use crate::json::{Json, NULL, object};
use crate::response::{MockResponse, ResponseContent, TokenCounts};

pub(super) fn whole(response: &MockResponse) -> Json {
    let text = response.content.text().whole();
    let block = match &response.content {
        ResponseContent::Text(_) => object! { "type": "text", "text": text, "citations": NULL },
        ResponseContent::ToolCall { tool, .. } => {
            let input: Option<Json> = serde_json::from_str(&text).ok();
            object! { "type": "tool_use", "id": id("toolu_", response), "name": tool, "input": input }
        }
    };
    let usage = response.tokens.as_ref().map(|tokens| usage(tokens, tokens.output_total(), tokens.reasoning));
    message(response, &[block], Some(stop_reason(response)), usage.as_ref())
}

/// `message_start` with the input's usage and one output token, the block's start, and a ping.
pub(super) fn opening(response: &MockResponse) -> Vec<Bytes> {
    let usage = response.tokens.as_ref().map(|tokens| usage(tokens, 1, 0));
    let start = object! { "type": "message_start", "message": message(response, &[], None, usage.as_ref()) };
    let block = match &response.content {
        ResponseContent::Text(_) => object! { "type": "text", "text": "", "citations": NULL },
        ResponseContent::ToolCall { tool, .. } => {
            object! { "type": "tool_use", "id": id("toolu_", response), "name": tool, "input": object! {} }
        }
    };
    let events = [
        named("message_start", &start),
        named("content_block_start", &object! { "type": "content_block_start", "index": 0, "content_block": block }),
        named("ping", &object! { "type": "ping" }),
    ];
    events.into_iter().map(Bytes::from).collect()
}

/// The event with one piece of the text.
pub(super) fn piece(response: &MockResponse) -> String {
    let delta = match &response.content {
        ResponseContent::Text(_) => object! { "type": "text_delta", "text": HOLE },
        ResponseContent::ToolCall { .. } => object! { "type": "input_json_delta", "partial_json": HOLE },
    };
    named("content_block_delta", &object! { "type": "content_block_delta", "index": 0, "delta": delta })
}

/// The block's end, `message_delta` with the cumulative usage, and `message_stop`.
pub(super) fn closing(response: &MockResponse) -> Vec<Bytes> {
    let stop = object! {
        "container": NULL, "stop_reason": stop_reason(response), "stop_sequence": NULL, "stop_details": NULL
    };
    let usage = response.tokens.as_ref().map(|tokens| {
        object! {
            "input_tokens": tokens.input, "cache_creation_input_tokens": tokens.cache_write,
            "cache_read_input_tokens": tokens.cached, "output_tokens": tokens.output_total(),
            "output_tokens_details": thinking(tokens.reasoning), "server_tool_use": NULL
        }
    });
    let events = [
        named("content_block_stop", &object! { "type": "content_block_stop", "index": 0 }),
        named("message_delta", &object! { "type": "message_delta", "delta": stop; "usage": usage }),
        named("message_stop", &object! { "type": "message_stop" }),
    ];
    events.into_iter().map(Bytes::from).collect()
}

/// The body of `POST /v1/messages/count_tokens`.
pub(super) fn count(response: &MockResponse) -> Json {
    object! { "input_tokens": response.tokens.unwrap_or_default().input_total() }
}

fn message(response: &MockResponse, blocks: &[Json], stop_reason: Option<&str>, usage: Option<&Json>) -> Json {
    object! {
        "id": id("msg_", response), "type": "message", "role": "assistant", "model": response.model, "container": NULL, "content": blocks,
        "stop_reason": stop_reason, "stop_sequence": NULL, "stop_details": NULL; "usage": usage.as_ref()
    }
}

/// Input excludes the tokens read from and written to the cache; output includes thinking.
fn usage(tokens: &TokenCounts, output_tokens: u64, thinking_tokens: u64) -> Json {
    object! {
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation": object! {
            "ephemeral_5m_input_tokens": tokens.cache_write, "ephemeral_1h_input_tokens": 0
        },
        "output_tokens": output_tokens,
        "output_tokens_details": thinking(thinking_tokens),
        "server_tool_use": NULL,
        "service_tier": "standard",
        "inference_geo": NULL
    }
}

fn thinking(tokens: u64) -> Json {
    object! { "thinking_tokens": tokens }
}

const fn stop_reason(response: &MockResponse) -> &'static str {
    match response.content {
        ResponseContent::Text(_) => "end_turn",
        ResponseContent::ToolCall { .. } => "tool_use",
    }
}
