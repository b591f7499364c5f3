//! The legacy completions, as OpenAI answers `POST /v1/completions`.

use hyper::body::Bytes;
use serde::Serialize;

use super::{HOLE, data, id};
use crate::answer::{Answer, CREATED};
use crate::json::{Json, NULL, object};

pub(super) fn whole(answer: &Answer) -> Json {
    let choices = [choice(answer.content.text().whole(), Some("stop"))];
    completion(answer, &choices, usage(answer).as_ref())
}

/// The chunk of one piece.
pub(super) fn piece(answer: &Answer) -> String {
    let choices = [choice(HOLE, None)];
    data(&completion(answer, &choices, answer.include_usage.then_some(&NULL)))
}

/// The chunk with the reason of the end, the one with the usage where it was asked for, and `[DONE]`.
pub(super) fn closing(answer: &Answer) -> Vec<Bytes> {
    let last = [choice("", Some("stop"))];
    let mut events = vec![data(&completion(answer, &last, answer.include_usage.then_some(&NULL)))];
    if let Some(usage) = usage(answer).filter(|_| answer.include_usage) {
        events.push(data(&completion(answer, &[], Some(&usage))));
    }
    events.push(String::from("data: [DONE]\n\n"));
    events.into_iter().map(Bytes::from).collect()
}

fn completion(answer: &Answer, choices: &[Json], usage: Option<&impl Serialize>) -> Json {
    object! {
        "id": id("cmpl-", answer), "object": "text_completion", "created": CREATED, "model": answer.model,
        "choices": choices; "usage": usage
    }
}

fn choice(text: impl Serialize, finish_reason: Option<&str>) -> Json {
    object! { "text": text, "index": 0, "logprobs": NULL, "finish_reason": finish_reason }
}

fn usage(answer: &Answer) -> Option<Json> {
    answer.figures.as_ref().map(|figures| {
        object! {
            "prompt_tokens": figures.input_total(), "completion_tokens": figures.output_total(),
            "total_tokens": figures.total()
        }
    })
}
