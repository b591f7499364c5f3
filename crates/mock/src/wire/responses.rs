//! OpenAI Responses: `POST /v1/responses`, with one output item: a message or a function call.

use hyper::body::Bytes;
use serde::Serialize;

use super::HOLE;
use super::event::{id, named};
use crate::json::{Json, NULL, object};
use crate::response::{CREATED, MockResponse, ResponseContent};

pub(super) fn whole(response: &MockResponse) -> Json {
    response_object(response, "completed", &[item(response, "completed", &response.content.text().whole())])
}

/// The body of `POST /v1/responses/input_tokens`.
pub(super) fn count(response: &MockResponse) -> Json {
    object! { "object": "response.input_tokens", "input_tokens": response.tokens.unwrap_or_default().input_total() }
}

/// The body of `POST /v1/responses/compact`.
pub(super) fn compacted(response: &MockResponse) -> Json {
    let item = object! { "id": id("cmp_", response), "type": "compaction", "encrypted_content": "mock-compaction" };
    object! {
        "id": id("resp_", response), "object": "response.compaction", "created_at": CREATED, "output": [item],
        "usage": usage(response)
    }
}

/// The response object of a stream that fails.
pub(crate) fn failed(response: &MockResponse, error: &Json) -> Json {
    response_with_error(response, "failed", &[], Some(error))
}

/// The events from `response.created` to `response.output_item.added`; for text also `response.content_part.added`.
pub(super) fn opening(response: &MockResponse) -> Vec<Bytes> {
    let mut events = NumberedEvents::from(0);
    for kind in ["response.created", "response.in_progress"] {
        events.push(
            kind,
            |n| object! { "type": kind, "response": response_object(response, "in_progress", &[]), "sequence_number": n },
        );
    }
    events.push("response.output_item.added", |n| {
        let item = match &response.content {
            ResponseContent::Text(_) => message(response, "in_progress", &[]),
            ResponseContent::ToolCall { .. } => item(response, "in_progress", ""),
        };
        object! { "type": "response.output_item.added", "output_index": 0, "item": item, "sequence_number": n }
    });
    if matches!(response.content, ResponseContent::Text(_)) {
        events.push("response.content_part.added", |n| {
            object! {
                "type": "response.content_part.added", "item_id": item_id(response), "output_index": 0, "content_index": 0,
                "part": part(""), "sequence_number": n
            }
        });
    }
    events.done
}

/// The event with one piece of the text.
pub(super) fn piece(response: &MockResponse) -> String {
    match &response.content {
        ResponseContent::Text(_) => {
            let kind = "response.output_text.delta";
            named(
                kind,
                &object! {
                    "type": kind, "item_id": item_id(response), "output_index": 0, "content_index": 0, "delta": HOLE,
                    "logprobs": [NULL; 0], "sequence_number": HOLE
                },
            )
        }
        ResponseContent::ToolCall { .. } => {
            let kind = "response.function_call_arguments.delta";
            named(
                kind,
                &object! {
                    "type": kind, "item_id": item_id(response), "output_index": 0, "delta": HOLE, "sequence_number": HOLE
                },
            )
        }
    }
}

/// A `done` event for each opened item, then `response.completed` with the whole output and the usage. `first` is the
/// number of the first event.
pub(super) fn closing(response: &MockResponse, first: u64) -> Vec<Bytes> {
    let text = response.content.text().whole();
    let mut events = NumberedEvents::from(first);
    match &response.content {
        ResponseContent::Text(_) => {
            events.push("response.output_text.done", |n| {
                object! {
                    "type": "response.output_text.done", "item_id": item_id(response), "output_index": 0, "content_index": 0,
                    "text": text, "logprobs": [NULL; 0], "sequence_number": n
                }
            });
            events.push("response.content_part.done", |n| {
                object! {
                    "type": "response.content_part.done", "item_id": item_id(response), "output_index": 0, "content_index": 0,
                    "part": part(&text), "sequence_number": n
                }
            });
        }
        ResponseContent::ToolCall { tool, .. } => events.push("response.function_call_arguments.done", |n| {
            object! {
                "type": "response.function_call_arguments.done", "item_id": item_id(response), "output_index": 0,
                "name": tool, "arguments": text, "sequence_number": n
            }
        }),
    }
    events.push("response.output_item.done", |n| {
        let item = item(response, "completed", &text);
        object! { "type": "response.output_item.done", "output_index": 0, "item": item, "sequence_number": n }
    });
    events.push("response.completed", |n| {
        object! { "type": "response.completed", "response": whole(response), "sequence_number": n }
    });
    events.done
}

/// Events, and the number of the next one.
struct NumberedEvents {
    next: u64,
    done: Vec<Bytes>,
}

impl NumberedEvents {
    const fn from(next: u64) -> Self {
        Self { next, done: Vec::new() }
    }

    fn push(&mut self, kind: &str, event: impl FnOnce(u64) -> Json) {
        self.done.push(Bytes::from(named(kind, &event(self.next))));
        self.next += 1;
    }
}

fn response_object(response: &MockResponse, status: &str, output: &[Json]) -> Json {
    response_with_error(response, status, output, None)
}

fn response_with_error(response: &MockResponse, status: &str, output: &[Json], error: Option<&Json>) -> Json {
    let is_completed = status == "completed";
    let usage = if is_completed { usage(response) } else { None };
    let completed_at = is_completed.then_some(CREATED);
    object! {
        "id": id("resp_", response), "object": "response", "created_at": CREATED, "status": status, "background": false,
        "error": error, "incomplete_details": NULL, "instructions": NULL, "max_output_tokens": NULL, "model": response.model,
        "output": output, "parallel_tool_calls": true, "previous_response_id": NULL,
        "reasoning": object! { "effort": "low", "summary": NULL }, "service_tier": "default", "store": false,
        "temperature": 1.0, "text": object! { "format": object! { "type": "text" } }, "tool_choice": "auto",
        "tools": [NULL; 0], "top_p": 1.0, "truncation": "disabled", "usage": usage, "user": NULL,
        "metadata": object! {}, "access_programs": NULL, "completed_at": completed_at, "presence_penalty": 0, "frequency_penalty": 0,
        "top_logprobs": 0, "max_tool_calls": NULL, "safety_identifier": NULL, "prompt_cache_key": NULL
    }
}

fn item(response: &MockResponse, status: &str, text: &str) -> Json {
    match &response.content {
        ResponseContent::Text(_) => message(response, status, &[part(text)]),
        ResponseContent::ToolCall { tool, .. } => object! {
            "id": item_id(response), "type": "function_call", "status": status, "arguments": text,
            "call_id": id("call_", response), "name": tool
        },
    }
}

fn message(response: &MockResponse, status: &str, parts: &[Json]) -> Json {
    object! { "id": item_id(response), "type": "message", "status": status, "content": parts, "role": "assistant" }
}

fn part(text: &str) -> Json {
    object! { "type": "output_text", "annotations": [NULL; 0], "logprobs": [NULL; 0], "text": text }
}

fn item_id(response: &MockResponse) -> impl Serialize + use<> {
    match response.content {
        ResponseContent::Text(_) => id("msg_", response),
        ResponseContent::ToolCall { .. } => id("fc_", response),
    }
}

/// The input includes the tokens read from and written to the cache; the output includes reasoning.
fn usage(response: &MockResponse) -> Option<Json> {
    response.tokens.as_ref().map(|tokens| {
        object! {
            "input_tokens": tokens.input_total(),
            "input_tokens_details": object! { "cached_tokens": tokens.cached, "cache_write_tokens": tokens.cache_write },
            "output_tokens": tokens.output_total(),
            "output_tokens_details": object! { "reasoning_tokens": tokens.reasoning },
            "total_tokens": tokens.total()
        }
    })
}
