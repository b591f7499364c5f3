//! Chat completions, as OpenAI answers `POST /v1/chat/completions`.

use hyper::body::Bytes;
use serde::Serialize;

use super::{HOLE, data, id};
use crate::answer::{Answer, CREATED, Content, Figures};
use crate::asked::Modality;
use crate::json::{Json, NULL, object};
use crate::media::{Sound, base64};

pub(super) fn whole(answer: &Answer) -> Json {
    let text = answer.content.text().whole();
    let message = match &answer.content {
        Content::Says(_) if answer.modality == Modality::Sound => {
            let data = base64(&Sound::Wav.opening(0));
            let audio = object! { "id": id("audio_", answer), "data": data, "expires_at": CREATED, "transcript": text };
            object! { "role": "assistant", "content": NULL, "refusal": NULL, "annotations": [NULL; 0], "audio": audio }
        }
        Content::Says(_) => {
            object! { "role": "assistant", "content": text, "refusal": NULL, "annotations": [NULL; 0] }
        }
        Content::Calls { tool, .. } => {
            let function = object! { "name": tool, "arguments": text };
            let call = object! { "id": id("call_", answer), "type": "function", "function": function };
            object! { "role": "assistant", "content": NULL, "tool_calls": [call], "refusal": NULL, "annotations": [NULL; 0] }
        }
    };
    let choice = object! { "index": 0, "message": message, "logprobs": NULL, "finish_reason": finish_reason(answer) };
    object! {
        "id": id("chatcmpl-", answer), "object": "chat.completion", "created": CREATED, "model": answer.model,
        "choices": [choice], "service_tier": "default", "system_fingerprint": "fp_mock"; "usage": usage(answer)
    }
}

/// The chunk that names the role, and with a tool the one that names the tool.
pub(super) fn opening(answer: &Answer) -> Vec<Bytes> {
    let delta = match &answer.content {
        Content::Says(_) => object! { "role": "assistant", "content": "", "refusal": NULL },
        Content::Calls { tool, .. } => {
            let function = object! { "name": tool, "arguments": "" };
            let call = object! { "index": 0, "id": id("call_", answer), "type": "function", "function": function };
            object! { "role": "assistant", "content": NULL, "tool_calls": [call], "refusal": NULL }
        }
    };
    vec![Bytes::from(chunk(answer, &[choice(&delta, None)], NULL))]
}

/// The chunk of one piece.
pub(super) fn piece(answer: &Answer) -> String {
    let delta = match &answer.content {
        Content::Says(_) => object! { "content": HOLE },
        Content::Calls { .. } => {
            object! { "tool_calls": [object! { "index": 0, "function": object! { "arguments": HOLE } }] }
        }
    };
    chunk(answer, &[choice(&delta, None)], NULL)
}

/// The chunk with the reason of the end, the one with the usage where it was asked for, and `[DONE]`.
pub(super) fn closing(answer: &Answer) -> Vec<Bytes> {
    let mut events = vec![chunk(answer, &[choice(&object! {}, Some(finish_reason(answer)))], NULL)];
    if let Some(usage) = usage(answer).filter(|_| answer.include_usage) {
        events.push(chunk(answer, &[], usage));
    }
    events.push(String::from("data: [DONE]\n\n"));
    events.into_iter().map(Bytes::from).collect()
}

/// With `include_usage` every chunk has a `usage`, null but in the last.
fn chunk(answer: &Answer, choices: &[Json], usage: impl Serialize) -> String {
    data(&object! {
        "id": id("chatcmpl-", answer), "object": "chat.completion.chunk", "created": CREATED, "model": answer.model,
        "service_tier": "default", "system_fingerprint": "fp_mock", "choices": choices;
        "usage": answer.include_usage.then_some(usage)
    })
}

fn choice(delta: &Json, finish_reason: Option<&str>) -> Json {
    object! { "index": 0, "delta": delta, "logprobs": NULL, "finish_reason": finish_reason }
}

const fn finish_reason(answer: &Answer) -> &'static str {
    match answer.content {
        Content::Says(_) => "stop",
        Content::Calls { .. } => "tool_calls",
    }
}

/// The prompt includes what came from and went to the cache; the completion includes reasoning.
fn usage(answer: &Answer) -> Option<Json> {
    answer.figures.as_ref().map(|figures: &Figures| {
        object! {
            "prompt_tokens": figures.input_total(),
            "completion_tokens": figures.output_total(),
            "total_tokens": figures.total(),
            "prompt_tokens_details": object! {
                "cached_tokens": figures.cached, "cache_write_tokens": figures.cache_write,
                "audio_tokens": figures.sound, "image_tokens": figures.pictures
            },
            "completion_tokens_details": object! {
                "reasoning_tokens": figures.reasoning, "audio_tokens": answer.output_media().0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0
            }
        }
    })
}
