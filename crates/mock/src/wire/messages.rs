//! Messages, as Anthropic answers `POST /v1/messages`: one content block, text or the use of a tool.

use hyper::body::Bytes;

use super::{HOLE, id, named};
use crate::answer::{Answer, Content, Figures};
use crate::json::{Json, NULL, object};

pub(super) fn whole(answer: &Answer) -> Json {
    let text = answer.content.text().whole();
    let block = match &answer.content {
        Content::Says(_) => object! { "type": "text", "text": text },
        Content::Calls { tool, .. } => {
            let input: Option<Json> = serde_json::from_str(&text).ok();
            object! { "type": "tool_use", "id": id("toolu_", answer), "name": tool, "input": input }
        }
    };
    let usage = answer.figures.as_ref().map(|figures| usage(figures, figures.output_total(), figures.reasoning));
    message(answer, &[block], Some(stop_reason(answer)), usage.as_ref())
}

/// `message_start` with the input's usage and one token of output, the block's start, a ping.
pub(super) fn opening(answer: &Answer) -> Vec<Bytes> {
    let usage = answer.figures.as_ref().map(|figures| usage(figures, 1, 0));
    let start = object! { "type": "message_start", "message": message(answer, &[], None, usage.as_ref()) };
    let block = match &answer.content {
        Content::Says(_) => object! { "type": "text", "text": "" },
        Content::Calls { tool, .. } => {
            object! { "type": "tool_use", "id": id("toolu_", answer), "name": tool, "input": object! {} }
        }
    };
    let events = [
        named("message_start", &start),
        named("content_block_start", &object! { "type": "content_block_start", "index": 0, "content_block": block }),
        named("ping", &object! { "type": "ping" }),
    ];
    events.into_iter().map(Bytes::from).collect()
}

/// The event of one piece.
pub(super) fn piece(answer: &Answer) -> String {
    let delta = match &answer.content {
        Content::Says(_) => object! { "type": "text_delta", "text": HOLE },
        Content::Calls { .. } => object! { "type": "input_json_delta", "partial_json": HOLE },
    };
    named("content_block_delta", &object! { "type": "content_block_delta", "index": 0, "delta": delta })
}

/// The block's end, `message_delta` with the cumulative usage, `message_stop`.
pub(super) fn closing(answer: &Answer) -> Vec<Bytes> {
    let stop = object! { "stop_reason": stop_reason(answer), "stop_sequence": NULL };
    let usage = answer.figures.as_ref().map(|figures| {
        object! {
            "input_tokens": figures.input, "cache_creation_input_tokens": figures.cache_write,
            "cache_read_input_tokens": figures.cached, "output_tokens": figures.output_total(),
            "output_tokens_details": thinking(figures.reasoning)
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
pub(super) fn count(answer: &Answer) -> Json {
    object! { "input_tokens": answer.figures.unwrap_or_default().input_total() }
}

fn message(answer: &Answer, blocks: &[Json], stop_reason: Option<&str>, usage: Option<&Json>) -> Json {
    object! {
        "id": id("msg_", answer), "type": "message", "role": "assistant", "model": answer.model, "content": blocks,
        "stop_reason": stop_reason, "stop_sequence": NULL; "usage": usage.as_ref()
    }
}

/// Input leaves out what came from and went to the cache; output includes thinking.
fn usage(figures: &Figures, output_tokens: u64, thinking_tokens: u64) -> Json {
    object! {
        "input_tokens": figures.input,
        "cache_creation_input_tokens": figures.cache_write,
        "cache_read_input_tokens": figures.cached,
        "cache_creation": object! {
            "ephemeral_5m_input_tokens": figures.cache_write, "ephemeral_1h_input_tokens": 0
        },
        "output_tokens": output_tokens,
        "output_tokens_details": thinking(thinking_tokens),
        "service_tier": "standard"
    }
}

fn thinking(tokens: u64) -> Json {
    object! { "thinking_tokens": tokens }
}

const fn stop_reason(answer: &Answer) -> &'static str {
    match answer.content {
        Content::Says(_) => "end_turn",
        Content::Calls { .. } => "tool_use",
    }
}
