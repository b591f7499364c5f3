//! OpenAI's legacy completions: `POST /v1/completions`.

use hyper::body::Bytes;
use serde::Serialize;

use super::HOLE;
use super::event::{data, id};
use crate::json::{Json, NULL, object};
use crate::response::{CREATED, MockResponse};

pub(super) fn whole(response: &MockResponse) -> Json {
    let choices = [choice(response.content.text().whole(), Some("stop"))];
    completion(response, &choices, usage(response).as_ref())
}

/// The chunk with one piece of the text.
pub(super) fn piece(response: &MockResponse) -> String {
    let choices = [choice(HOLE, None)];
    data(&completion(response, &choices, response.include_usage.then_some(&NULL)))
}

/// The chunk with the finish reason, the usage chunk if the request wants it, and `[DONE]`.
pub(super) fn closing(response: &MockResponse) -> Vec<Bytes> {
    let last = [choice("", Some("stop"))];
    let mut events = vec![data(&completion(response, &last, response.include_usage.then_some(&NULL)))];
    if response.include_usage
        && let Some(usage) = usage(response)
    {
        events.push(data(&completion(response, &[], Some(&usage))));
    }
    events.push(String::from("data: [DONE]\n\n"));
    events.into_iter().map(Bytes::from).collect()
}

fn completion(response: &MockResponse, choices: &[Json], usage: Option<&impl Serialize>) -> Json {
    object! {
        "id": id("cmpl-", response), "object": "text_completion", "created": CREATED, "model": response.model,
        "choices": choices; "usage": usage
    }
}

fn choice(text: impl Serialize, finish_reason: Option<&str>) -> Json {
    object! { "text": text, "index": 0, "logprobs": NULL, "finish_reason": finish_reason }
}

fn usage(response: &MockResponse) -> Option<Json> {
    response.tokens.as_ref().map(|tokens| {
        object! {
            "prompt_tokens": tokens.input_total(), "completion_tokens": tokens.output_total(),
            "total_tokens": tokens.total()
        }
    })
}
