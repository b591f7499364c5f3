//! OpenAI Chat Completions: `POST /v1/chat/completions`.

use hyper::body::Bytes;
use serde::Serialize;

use super::HOLE;
use super::event::{data, id};
use crate::call_body::Modality;
use crate::content::media::{SoundFormat, base64};
use crate::json::{Json, NULL, object};
use crate::response::{CREATED, MockResponse, ResponseContent, TokenCounts};

pub(super) fn whole(response: &MockResponse) -> Json {
    let text = response.content.text().whole();
    let message = match &response.content {
        ResponseContent::Text(_) if response.modality == Modality::Sound => {
            let data = base64(&SoundFormat::Wav.opening(0));
            let audio =
                object! { "id": id("audio_", response), "data": data, "expires_at": CREATED, "transcript": text };
            object! { "role": "assistant", "content": NULL, "refusal": NULL, "annotations": [NULL; 0], "audio": audio }
        }
        ResponseContent::Text(_) => {
            object! { "role": "assistant", "content": text, "refusal": NULL, "annotations": [NULL; 0] }
        }
        ResponseContent::ToolCall { tool, .. } => {
            let function = object! { "name": tool, "arguments": text };
            let call = object! { "id": id("call_", response), "type": "function", "function": function };
            object! { "role": "assistant", "content": NULL, "tool_calls": [call], "refusal": NULL, "annotations": [NULL; 0] }
        }
    };
    let choice = object! { "index": 0, "message": message, "logprobs": NULL, "finish_reason": finish_reason(response) };
    object! {
        "id": id("chatcmpl-", response), "object": "chat.completion", "created": CREATED, "model": response.model,
        "choices": [choice], "service_tier": "default", "system_fingerprint": "fp_mock"; "usage": usage(response)
    }
}

/// The chunk with the role and, for a tool call, the tool's name.
pub(super) fn opening(response: &MockResponse) -> Vec<Bytes> {
    let delta = match &response.content {
        ResponseContent::Text(_) => object! { "role": "assistant", "content": "", "refusal": NULL },
        ResponseContent::ToolCall { tool, .. } => {
            let function = object! { "name": tool, "arguments": "" };
            let call = object! { "index": 0, "id": id("call_", response), "type": "function", "function": function };
            object! { "role": "assistant", "content": NULL, "tool_calls": [call], "refusal": NULL }
        }
    };
    vec![Bytes::from(chunk(response, &[choice(&delta, None)], NULL))]
}

/// The chunk with one piece of the text.
pub(super) fn piece(response: &MockResponse) -> String {
    let delta = match &response.content {
        ResponseContent::Text(_) => object! { "content": HOLE },
        ResponseContent::ToolCall { .. } => {
            object! { "tool_calls": [object! { "index": 0, "function": object! { "arguments": HOLE } }] }
        }
    };
    chunk(response, &[choice(&delta, None)], NULL)
}

/// The chunk with the finish reason, the usage chunk if the request wants it, and `[DONE]`.
pub(super) fn closing(response: &MockResponse) -> Vec<Bytes> {
    let mut events = vec![chunk(response, &[choice(&object! {}, Some(finish_reason(response)))], NULL)];
    if response.include_usage
        && let Some(usage) = usage(response)
    {
        events.push(chunk(response, &[], usage));
    }
    events.push(String::from("data: [DONE]\n\n"));
    events.into_iter().map(Bytes::from).collect()
}

/// With `include_usage`, every chunk has a `usage`, which is null in all but the last.
fn chunk(response: &MockResponse, choices: &[Json], usage: impl Serialize) -> String {
    data(&object! {
        "id": id("chatcmpl-", response), "object": "chat.completion.chunk", "created": CREATED, "model": response.model,
        "service_tier": "default", "system_fingerprint": "fp_mock", "choices": choices;
        "usage": response.include_usage.then_some(usage)
    })
}

fn choice(delta: &Json, finish_reason: Option<&str>) -> Json {
    object! { "index": 0, "delta": delta, "logprobs": NULL, "finish_reason": finish_reason }
}

const fn finish_reason(response: &MockResponse) -> &'static str {
    match response.content {
        ResponseContent::Text(_) => "stop",
        ResponseContent::ToolCall { .. } => "tool_calls",
    }
}

/// The prompt includes the tokens read from and written to the cache; the completion includes reasoning.
fn usage(response: &MockResponse) -> Option<Json> {
    response.tokens.as_ref().map(|tokens: &TokenCounts| {
        object! {
            "prompt_tokens": tokens.input_total(),
            "completion_tokens": tokens.output_total(),
            "total_tokens": tokens.total(),
            "prompt_tokens_details": object! {
                "cached_tokens": tokens.cached, "cache_write_tokens": tokens.cache_write,
                "audio_tokens": tokens.sound, "image_tokens": tokens.pictures
            },
            "completion_tokens_details": object! {
                "reasoning_tokens": tokens.reasoning, "audio_tokens": response.output_media().0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0
            }
        }
    })
}
