//! Responses, as OpenAI answers `POST /v1/responses`: one output item, a message or a function's call.

use hyper::body::Bytes;
use serde::Serialize;

use super::{HOLE, id, named};
use crate::answer::{Answer, CREATED, Content};
use crate::json::{Json, NULL, object};

pub(super) fn whole(answer: &Answer) -> Json {
    response(answer, "completed", &[item(answer, "completed", &answer.content.text().whole())])
}

/// The response of a stream that fails.
pub(crate) fn failed(answer: &Answer, error: &Json) -> Json {
    of(answer, "failed", &[], Some(error))
}

/// From `response.created` to the announcement of the item (and of its one part, with text).
pub(super) fn opening(answer: &Answer) -> Vec<Bytes> {
    let mut events = Numbered::from(0);
    for kind in ["response.created", "response.in_progress"] {
        events.push(
            kind,
            |n| object! { "type": kind, "response": response(answer, "in_progress", &[]), "sequence_number": n },
        );
    }
    events.push("response.output_item.added", |n| {
        let item = match &answer.content {
            Content::Says(_) => message(answer, "in_progress", &[]),
            Content::Calls { .. } => item(answer, "in_progress", ""),
        };
        object! { "type": "response.output_item.added", "output_index": 0, "item": item, "sequence_number": n }
    });
    if matches!(answer.content, Content::Says(_)) {
        events.push("response.content_part.added", |n| {
            object! {
                "type": "response.content_part.added", "item_id": item_id(answer), "output_index": 0, "content_index": 0,
                "part": part(""), "sequence_number": n
            }
        });
    }
    events.done
}

/// The event of one piece.
pub(super) fn piece(answer: &Answer) -> String {
    match &answer.content {
        Content::Says(_) => {
            let kind = "response.output_text.delta";
            named(
                kind,
                &object! {
                    "type": kind, "item_id": item_id(answer), "output_index": 0, "content_index": 0, "delta": HOLE,
                    "logprobs": [NULL; 0], "sequence_number": HOLE
                },
            )
        }
        Content::Calls { .. } => {
            let kind = "response.function_call_arguments.delta";
            named(
                kind,
                &object! {
                    "type": kind, "item_id": item_id(answer), "output_index": 0, "delta": HOLE, "sequence_number": HOLE
                },
            )
        }
    }
}

/// Each thing that was opened, done; then `response.completed` with all of it and the usage. `first` is its first number.
pub(super) fn closing(answer: &Answer, first: u64) -> Vec<Bytes> {
    let text = answer.content.text().whole();
    let mut events = Numbered::from(first);
    match &answer.content {
        Content::Says(_) => {
            events.push("response.output_text.done", |n| {
                object! {
                    "type": "response.output_text.done", "item_id": item_id(answer), "output_index": 0, "content_index": 0,
                    "text": text, "logprobs": [NULL; 0], "sequence_number": n
                }
            });
            events.push("response.content_part.done", |n| {
                object! {
                    "type": "response.content_part.done", "item_id": item_id(answer), "output_index": 0, "content_index": 0,
                    "part": part(&text), "sequence_number": n
                }
            });
        }
        Content::Calls { tool, .. } => events.push("response.function_call_arguments.done", |n| {
            object! {
                "type": "response.function_call_arguments.done", "item_id": item_id(answer), "output_index": 0,
                "name": tool, "arguments": text, "sequence_number": n
            }
        }),
    }
    events.push("response.output_item.done", |n| {
        let item = item(answer, "completed", &text);
        object! { "type": "response.output_item.done", "output_index": 0, "item": item, "sequence_number": n }
    });
    events.push("response.completed", |n| {
        object! { "type": "response.completed", "response": whole(answer), "sequence_number": n }
    });
    events.done
}

/// Events, and the number of the next.
struct Numbered {
    next: u64,
    done: Vec<Bytes>,
}

impl Numbered {
    const fn from(next: u64) -> Self {
        Self { next, done: Vec::new() }
    }

    fn push(&mut self, kind: &str, event: impl FnOnce(u64) -> Json) {
        self.done.push(Bytes::from(named(kind, &event(self.next))));
        self.next += 1;
    }
}

fn response(answer: &Answer, status: &str, output: &[Json]) -> Json {
    of(answer, status, output, None)
}

fn of(answer: &Answer, status: &str, output: &[Json], error: Option<&Json>) -> Json {
    let usage = usage(answer).filter(|_| status == "completed");
    object! {
        "id": id("resp_", answer), "object": "response", "created_at": CREATED, "status": status, "background": false,
        "error": error, "incomplete_details": NULL, "instructions": NULL, "max_output_tokens": NULL, "model": answer.model,
        "output": output, "parallel_tool_calls": true, "previous_response_id": NULL,
        "reasoning": object! { "effort": "low", "summary": NULL }, "service_tier": "default", "store": false,
        "temperature": 1.0, "text": object! { "format": object! { "type": "text" } }, "tool_choice": "auto",
        "tools": [NULL; 0], "top_p": 1.0, "truncation": "disabled", "usage": usage, "user": NULL,
        "metadata": object! {}, "access_programs": NULL
    }
}

fn item(answer: &Answer, status: &str, text: &str) -> Json {
    match &answer.content {
        Content::Says(_) => message(answer, status, &[part(text)]),
        Content::Calls { tool, .. } => object! {
            "id": item_id(answer), "type": "function_call", "status": status, "arguments": text,
            "call_id": id("call_", answer), "name": tool
        },
    }
}

fn message(answer: &Answer, status: &str, parts: &[Json]) -> Json {
    object! { "id": item_id(answer), "type": "message", "status": status, "content": parts, "role": "assistant" }
}

fn part(text: &str) -> Json {
    object! { "type": "output_text", "annotations": [NULL; 0], "logprobs": [NULL; 0], "text": text }
}

fn item_id(answer: &Answer) -> impl Serialize + use<> {
    match answer.content {
        Content::Says(_) => id("msg_", answer),
        Content::Calls { .. } => id("fc_", answer),
    }
}

/// The input includes what came from and went to the cache; the output includes reasoning.
fn usage(answer: &Answer) -> Option<Json> {
    answer.figures.as_ref().map(|figures| {
        object! {
            "input_tokens": figures.input_total(),
            "input_tokens_details": object! { "cached_tokens": figures.cached, "cache_write_tokens": figures.cache_write },
            "output_tokens": figures.output_total(),
            "output_tokens_details": object! { "reasoning_tokens": figures.reasoning },
            "total_tokens": figures.total()
        }
    })
}
