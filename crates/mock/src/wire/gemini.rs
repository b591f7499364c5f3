//! Gemini's `generateContent`, `streamGenerateContent` and `countTokens`. A tool call is one part, never split, and
//! each chunk reports the usage so far.

use hyper::body::Bytes;
use serde::Serialize;

use super::{HOLE, StreamFraming};
use crate::call_body::Modality;
use crate::content::media::{PIXEL, SoundFormat, base64};
use crate::json::{Json, object};
use crate::response::{MockResponse, ResponseContent, TokenCounts};

/// A signature that newer models expect back with the tool's result.
const SIGNATURE: &str = "bW9jayB0aG91Z2h0";

pub(super) fn whole(response: &MockResponse) -> Json {
    let parts = match &response.content {
        ResponseContent::Text(text) => vec![content_part(response, &text.whole())],
        ResponseContent::ToolCall { .. } => vec![call(response)],
    };
    chunk(response, &parts, Some("STOP"), usage(response))
}

/// The single chunk of a tool call; text has no opening.
pub(super) fn opening(response: &MockResponse, framing: StreamFraming) -> Vec<Bytes> {
    match &response.content {
        ResponseContent::Text(_) => Vec::new(),
        ResponseContent::ToolCall { .. } => {
            let usage =
                response.tokens.as_ref().map(|tokens| so_far(tokens, 1, tokens.input_total() + tokens.reasoning + 1));
            vec![Bytes::from(framed(&chunk(response, &[call(response)], None, usage), framing))]
        }
    }
}

/// The chunk with one piece of the text; `None` for a tool call.
pub(super) fn piece(response: &MockResponse, framing: StreamFraming) -> Option<String> {
    match &response.content {
        ResponseContent::Text(_) => {
            let usage = response.tokens.as_ref().map(|tokens| so_far(tokens, HOLE, HOLE));
            Some(framed(&chunk(response, &[object! { "text": HOLE }], None, usage), framing))
        }
        ResponseContent::ToolCall { .. } => None,
    }
}

/// The numbers in the chunk that completes `candidates` output tokens.
pub(super) fn running(response: &MockResponse, candidates: u64) -> [u64; 2] {
    let before = response.tokens.map_or(0, |tokens| tokens.input_total() + tokens.reasoning);
    [candidates, before + candidates]
}

/// The chunk with the finish reason and the whole usage.
pub(super) fn closing(response: &MockResponse, framing: StreamFraming) -> Vec<Bytes> {
    let usage = usage(response);
    vec![Bytes::from(framed(&chunk(response, &[object! { "text": "" }], Some("STOP"), usage), framing))]
}

/// The body of `countTokens`.
pub(super) fn count(response: &MockResponse) -> Json {
    let tokens = response.tokens.unwrap_or_default();
    object! { "totalTokens": tokens.input_total(), "promptTokensDetails": by_modality(&tokens) }
}

fn framed(json: &Json, framing: StreamFraming) -> String {
    match framing {
        // Google ends lines with CR LF.
        StreamFraming::Events => format!("data: {json}\r\n\r\n"),
        StreamFraming::Array => json.get().to_owned(),
    }
}

fn chunk(response: &MockResponse, parts: &[Json], finish: Option<&str>, usage: Option<Json>) -> Json {
    let content = object! { "parts": parts, "role": "model" };
    let candidate = match finish {
        Some(reason) => object! { "content": content, "finishReason": reason, "index": 0 },
        None => object! { "content": content, "index": 0 },
    };
    let Some(usage) = usage else {
        return object! { "candidates": [candidate], "modelVersion": response.model, "responseId": response.id };
    };
    object! {
        "candidates": [candidate], "usageMetadata": usage, "modelVersion": response.model, "responseId": response.id
    }
}

fn call(response: &MockResponse) -> Json {
    let ResponseContent::ToolCall { tool, arguments } = &response.content else { return object! {} };
    let args: Option<Json> = serde_json::from_str(&arguments.whole()).ok();
    let call = object! { "id": format!("call_{}", response.id), "name": tool, "args": args };
    object! { "functionCall": call, "thoughtSignature": SIGNATURE }
}

fn content_part(response: &MockResponse, text: &str) -> Json {
    let data = match response.modality {
        Modality::Text => return object! { "text": text },
        Modality::Sound => object! { "mimeType": "audio/wav", "data": base64(&SoundFormat::Wav.opening(0)) },
        Modality::Picture => object! { "mimeType": "image/png", "data": PIXEL },
    };
    object! { "inlineData": data }
}

fn so_far(tokens: &TokenCounts, candidates: impl Serialize, total: impl Serialize) -> Json {
    object! {
        "promptTokenCount": tokens.input_total(), "candidatesTokenCount": candidates, "totalTokenCount": total,
        "cachedContentTokenCount": tokens.cached, "promptTokensDetails": by_modality(tokens),
        "thoughtsTokenCount": tokens.reasoning
    }
}

/// The prompt includes tokens read from the cache (Google does not report cache writes); candidates exclude reasoning.
fn usage(response: &MockResponse) -> Option<Json> {
    let tokens = response.tokens.as_ref()?;
    let kind = match response.modality {
        Modality::Text => "TEXT",
        Modality::Sound => "AUDIO",
        Modality::Picture => "IMAGE",
    };
    Some(object! {
        "promptTokenCount": tokens.input_total(), "candidatesTokenCount": tokens.output,
        "totalTokenCount": tokens.total(), "cachedContentTokenCount": tokens.cached,
        "promptTokensDetails": by_modality(tokens),
        "cacheTokensDetails": [object! { "modality": "TEXT", "tokenCount": tokens.cached }],
        "candidatesTokensDetails": [object! { "modality": kind, "tokenCount": tokens.output }],
        "thoughtsTokenCount": tokens.reasoning, "trafficType": "ON_DEMAND"
    })
}

fn by_modality(tokens: &TokenCounts) -> Vec<Json> {
    let text = tokens.input_total() - tokens.sound - tokens.pictures;
    [("TEXT", text), ("AUDIO", tokens.sound), ("IMAGE", tokens.pictures)]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(modality, count)| object! { "modality": modality, "tokenCount": count })
        .collect()
}
