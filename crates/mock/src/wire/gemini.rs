//! Gemini's `generateContent`, `streamGenerateContent` and `countTokens`. A call of a tool is one part, never cut in pieces,
//! and each chunk has the usage so far.

use hyper::body::Bytes;
use serde::Serialize;

use super::{Framing, HOLE};
use crate::answer::{Answer, Content, Figures};
use crate::asked::Modality;
use crate::json::{Json, object};
use crate::media::{PIXEL, Sound, base64};

/// What newer models want back with a call's result.
const SIGNATURE: &str = "bW9jayB0aG91Z2h0";

pub(super) fn whole(answer: &Answer) -> Json {
    let parts = match &answer.content {
        Content::Says(text) => vec![said(answer, &text.whole())],
        Content::Calls { .. } => vec![call(answer)],
    };
    chunk(answer, &parts, Some("STOP"), usage(answer))
}

/// The one chunk of a call; text has none.
pub(super) fn opening(answer: &Answer, framing: Framing) -> Vec<Bytes> {
    match &answer.content {
        Content::Says(_) => Vec::new(),
        Content::Calls { .. } => {
            let usage = answer
                .figures
                .as_ref()
                .map(|figures| so_far(figures, 1, figures.input_total() + figures.reasoning + 1));
            vec![Bytes::from(framed(&chunk(answer, &[call(answer)], None, usage), framing))]
        }
    }
}

/// The chunk of one piece; `None` where a tool is called.
pub(super) fn piece(answer: &Answer, framing: Framing) -> Option<String> {
    match &answer.content {
        Content::Says(_) => {
            let usage = answer.figures.as_ref().map(|figures| so_far(figures, HOLE, HOLE));
            Some(framed(&chunk(answer, &[object! { "text": HOLE }], None, usage), framing))
        }
        Content::Calls { .. } => None,
    }
}

/// The numbers in the chunk with which `candidates` tokens are said.
pub(super) fn running(answer: &Answer, candidates: u64) -> [u64; 2] {
    let before = answer.figures.map_or(0, |figures| figures.input_total() + figures.reasoning);
    [candidates, before + candidates]
}

/// The chunk with the reason of the end and the whole usage.
pub(super) fn closing(answer: &Answer, framing: Framing) -> Vec<Bytes> {
    let usage = usage(answer);
    vec![Bytes::from(framed(&chunk(answer, &[object! { "text": "" }], Some("STOP"), usage), framing))]
}

/// The body of `countTokens`.
pub(super) fn count(answer: &Answer) -> Json {
    let figures = answer.figures.unwrap_or_default();
    object! { "totalTokens": figures.input_total(), "promptTokensDetails": by_modality(&figures) }
}

fn framed(json: &Json, framing: Framing) -> String {
    match framing {
        // Google's lines end so.
        Framing::Events => format!("data: {json}\r\n\r\n"),
        Framing::Array => json.get().to_owned(),
    }
}

fn chunk(answer: &Answer, parts: &[Json], finish: Option<&str>, usage: Option<Json>) -> Json {
    let content = object! { "parts": parts, "role": "model" };
    let candidate = match finish {
        Some(reason) => object! { "content": content, "finishReason": reason, "index": 0 },
        None => object! { "content": content, "index": 0 },
    };
    let Some(usage) = usage else {
        return object! { "candidates": [candidate], "modelVersion": answer.model, "responseId": answer.id };
    };
    object! {
        "candidates": [candidate], "usageMetadata": usage, "modelVersion": answer.model, "responseId": answer.id
    }
}

fn call(answer: &Answer) -> Json {
    let Content::Calls { tool, arguments } = &answer.content else { return object! {} };
    let args: Option<Json> = serde_json::from_str(&arguments.whole()).ok();
    let call = object! { "id": format!("call_{}", answer.id), "name": tool, "args": args };
    object! { "functionCall": call, "thoughtSignature": SIGNATURE }
}

fn said(answer: &Answer, text: &str) -> Json {
    let data = match answer.modality {
        Modality::Text => return object! { "text": text },
        Modality::Sound => object! { "mimeType": "audio/wav", "data": base64(&Sound::Wav.opening(0)) },
        Modality::Picture => object! { "mimeType": "image/png", "data": PIXEL },
    };
    object! { "inlineData": data }
}

fn so_far(figures: &Figures, candidates: impl Serialize, total: impl Serialize) -> Json {
    object! {
        "promptTokenCount": figures.input_total(), "candidatesTokenCount": candidates, "totalTokenCount": total,
        "cachedContentTokenCount": figures.cached, "promptTokensDetails": by_modality(figures),
        "thoughtsTokenCount": figures.reasoning
    }
}

/// The prompt includes what came from the cache (nothing is told of what went there); candidates leave thoughts out.
fn usage(answer: &Answer) -> Option<Json> {
    let figures = answer.figures.as_ref()?;
    let kind = match answer.modality {
        Modality::Text => "TEXT",
        Modality::Sound => "AUDIO",
        Modality::Picture => "IMAGE",
    };
    Some(object! {
        "promptTokenCount": figures.input_total(), "candidatesTokenCount": figures.output,
        "totalTokenCount": figures.total(), "cachedContentTokenCount": figures.cached,
        "promptTokensDetails": by_modality(figures),
        "cacheTokensDetails": [object! { "modality": "TEXT", "tokenCount": figures.cached }],
        "candidatesTokensDetails": [object! { "modality": kind, "tokenCount": figures.output }],
        "thoughtsTokenCount": figures.reasoning, "trafficType": "ON_DEMAND"
    })
}

fn by_modality(figures: &Figures) -> Vec<Json> {
    let text = figures.input_total() - figures.sound - figures.pictures;
    [("TEXT", text), ("AUDIO", figures.sound), ("IMAGE", figures.pictures)]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(modality, count)| object! { "modality": modality, "tokenCount": count })
        .collect()
}
