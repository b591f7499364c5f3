//! The fixed responses of the model `instant`: constants of 300 to 500 bytes.

use ai::Format;
use hyper::body::Bytes;

/// The body for formats of text and vectors; the other formats have no response that suits every request.
pub(crate) const fn instant(format: Format) -> Option<Bytes> {
    let body = match format {
        Format::Chat => INSTANT_CHAT,
        Format::Responses => INSTANT_RESPONSE,
        Format::Messages => INSTANT_MESSAGE,
        Format::GenerateContent => INSTANT_CONTENT,
        Format::Completions => INSTANT_COMPLETION,
        Format::Embeddings => INSTANT_EMBEDDING,
        Format::EmbedContent | Format::Images | Format::Speech | Format::Transcription | Format::Moderations => {
            return None;
        }
    };
    Some(Bytes::from_static(body.as_bytes()))
}

const INSTANT_CHAT: &str = concat!(
    r#"{"id":"chatcmpl-instant","object":"chat.completion","created":1767225600,"model":"instant","choices":[{"index":0,"#,
    r#""message":{"role":"assistant","content":"Hello.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"#,
    r#""usage":{"prompt_tokens":256,"completion_tokens":2,"total_tokens":258,"#,
    r#""prompt_tokens_details":{"cached_tokens":64},"completion_tokens_details":{"reasoning_tokens":1}}}"#
);
const INSTANT_RESPONSE: &str = concat!(
    r#"{"id":"resp_instant","object":"response","created_at":1767225600,"status":"completed","error":null,"#,
    r#""model":"instant","output":[{"id":"msg_instant","type":"message","status":"completed","content":[{"#,
    r#""type":"output_text","annotations":[],"text":"Hello."}],"role":"assistant"}],"usage":{"input_tokens":256,"#,
    r#""input_tokens_details":{"cached_tokens":64},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1},"#,
    r#""total_tokens":258}}"#
);
const INSTANT_MESSAGE: &str = concat!(
    r#"{"id":"msg_instant","type":"message","role":"assistant","model":"instant","#,
    r#""content":[{"type":"text","text":"Hello."}],"stop_reason":"end_turn","stop_sequence":null,"#,
    r#""usage":{"input_tokens":192,"cache_creation_input_tokens":0,"cache_read_input_tokens":64,"output_tokens":2,"#,
    r#""output_tokens_details":{"thinking_tokens":1},"service_tier":"standard"}}"#
);
const INSTANT_CONTENT: &str = concat!(
    r#"{"candidates":[{"content":{"parts":[{"text":"Hello."}],"role":"model"},"finishReason":"STOP","index":0}],"#,
    r#""usageMetadata":{"promptTokenCount":256,"candidatesTokenCount":1,"totalTokenCount":258,"#,
    r#""cachedContentTokenCount":64,"promptTokensDetails":[{"modality":"TEXT","tokenCount":256}],"#,
    r#""thoughtsTokenCount":1},"modelVersion":"instant","responseId":"instant"}"#
);
const INSTANT_COMPLETION: &str = concat!(
    r#"{"id":"cmpl-instant","object":"text_completion","created":1767225600,"model":"instant","choices":[{"text":"#,
    r#""Hello.","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":256,"completion_tokens":2,"#,
    r#""total_tokens":258,"prompt_tokens_details":{"cached_tokens":64},"completion_tokens_details":{"reasoning_tokens":0}}}"#
);
const INSTANT_EMBEDDING: &str = concat!(
    r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.25,-0.25,0.25,-0.25,0.25,-0.25,0.25,-0.25,"#,
    r#"0.25,-0.25,0.25,-0.25,0.25,-0.25,0.25,-0.25,0.125,-0.125,0.125,-0.125,0.125,-0.125,0.125,-0.125,0.125,-0.125,"#,
    r#"0.125,-0.125]}],"model":"instant","usage":{"prompt_tokens":256,"total_tokens":256}}"#
);
