//! Ends a stream that has used up its client's budget, as its format ends a response that became too long.

use serde_json::{Value, json};

use crate::format::Format;
use crate::streams::partial::Partial;

/// Returns the last events, after blank lines if an event is `open`. Empty for formats whose streams have no such end.
pub(crate) fn events(format: Format, open: bool, partial: &Partial<'_>) -> Vec<u8> {
    let Partial { id, model, created, tokens: (_, output), block, sequence } = *partial;
    let id = id.unwrap_or_default();
    let model = model.unwrap_or_default();
    let chunk = |object: &str, choice: Value| json!({"id": id, "object": object, "created": created, "model": model, "choices": [choice]});
    let mut out = if open { b"\n\n".to_vec() } else { Vec::new() };
    match format {
        Format::Chat => {
            let choice = json!({"index": 0, "delta": {}, "finish_reason": "length"});
            put(&mut out, None, &chunk("chat.completion.chunk", choice));
            out.extend_from_slice(b"data: [DONE]\n\n");
        }
        Format::Completions => {
            let choice = json!({"index": 0, "text": "", "logprobs": null, "finish_reason": "length"});
            put(&mut out, None, &chunk("text_completion", choice));
            out.extend_from_slice(b"data: [DONE]\n\n");
        }
        Format::Responses => {
            let details = json!({"reason": "max_output_tokens"});
            let response = partial.response("incomplete", &Value::Null, &details);
            let incomplete = json!({"type": "response.incomplete", "response": response, "sequence_number": sequence});
            put(&mut out, Some("response.incomplete"), &incomplete);
        }
        Format::Messages => {
            if let Some(index) = block {
                put(&mut out, Some("content_block_stop"), &json!({"type": "content_block_stop", "index": index}));
            }
            let delta = json!({"stop_reason": "max_tokens", "stop_sequence": null});
            let delta = json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": output}});
            put(&mut out, Some("message_delta"), &delta);
            put(&mut out, Some("message_stop"), &json!({"type": "message_stop"}));
        }
        Format::GenerateContent => put(&mut out, None, &element(partial)),
        Format::Embeddings
        | Format::Moderations
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription => {}
    }
    out
}

/// Returns the last element of Gemini's stream.
pub(crate) fn element(partial: &Partial<'_>) -> Value {
    let (prompt, candidates) = partial.tokens;
    let content = json!({"role": "model", "parts": [{"text": ""}]});
    let usage = json!({
        "promptTokenCount": prompt, "candidatesTokenCount": candidates,
        "totalTokenCount": prompt.saturating_add(candidates)
    });
    json!({
        "candidates": [{"index": 0, "content": content, "finishReason": "MAX_TOKENS"}],
        "usageMetadata": usage, "modelVersion": partial.model
    })
}

fn put(out: &mut Vec<u8>, name: Option<&str>, data: &Value) {
    if let Some(name) = name {
        out.extend_from_slice(format!("event: {name}\n").as_bytes());
    }
    out.extend_from_slice(format!("data: {data}\n\n").as_bytes());
}
