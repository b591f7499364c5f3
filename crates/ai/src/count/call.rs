//! The calls of providers' counters: the call whose tokens a client counts, and the count that a provider returns.

use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::format::Format;
use crate::provider::ProviderKind;
use crate::scan::raw_fields::RawFields;

/// A whole call inside Gemini's `countTokens`, in both spellings that proto JSON allows.
const INNER: [&str; 2] = ["generateContentRequest", "generate_content_request"];
/// The fields of Messages that Anthropic's counter takes. It refuses others, such as `max_tokens`.
const OF_MESSAGES: [&str; 8] =
    ["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"];
/// The fields of Responses that OpenAI's counter takes.
const OF_RESPONSES: [&str; 9] = [
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "truncation",
];
/// The fields of a call that Vertex AI's counter takes. That of the Gemini API takes a whole call.
const OF_VERTEX: [&str; 4] = ["contents", "systemInstruction", "tools", "generationConfig"];

/// Returns the call whose tokens the body of a count asks for: the body itself, except for a call inside one of Gemini's.
#[must_use]
pub fn counted_call(endpoint: Endpoint, body: &[u8]) -> &[u8] {
    let inner = Some(endpoint).filter(|endpoint| *endpoint == Endpoint::GeminiCountTokens).and_then(|_| {
        let RawFields(fields) = RawFields::of_bytes(body)?;
        fields.into_iter().find(|field| INNER.contains(&&*field.name) && field.value.get().starts_with('{'))
    });
    inner.map_or(body, |field| field.value.get().as_bytes())
}

/// Returns the body with which a provider of this kind counts the tokens of a call of `model`, whose body is in `format`. `None` if
/// the format has no counter, or the body is no JSON object.
#[must_use]
pub fn counting_body(kind: ProviderKind, format: Format, model: &str, body: &[u8]) -> Option<Vec<u8>> {
    let taken: &[&str] = match format {
        Format::Messages => &OF_MESSAGES,
        Format::Responses => &OF_RESPONSES,
        Format::GenerateContent if kind == ProviderKind::Vertex => &OF_VERTEX,
        Format::GenerateContent => {
            let mut call = RawFields::of_bytes(body)?;
            call.0.retain(|field| field.name != "model");
            let name = format!("\"model\":{}", Value::from(format!("models/{model}")));
            return Some(format!("{{\"generateContentRequest\":{}}}", call.written(Some(name))).into_bytes());
        }
        Format::Chat
        | Format::Completions
        | Format::Embeddings
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription
        | Format::Moderations => return None,
    };
    let mut call = RawFields::of_bytes(body)?;
    call.0.retain(|field| taken.contains(&&*field.name));
    Some(call.written(None).into_bytes())
}

/// Reads the count in the response of a provider's counter.
#[must_use]
pub fn counted_tokens(format: Format, body: &[u8]) -> Option<u64> {
    let count: Value = serde_json::from_slice(body).ok()?;
    let name = if format == Format::GenerateContent { "totalTokens" } else { "input_tokens" };
    count.get(name)?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_gets_the_fields_that_it_takes() {
        const MESSAGES: &str =
            r#"{"model":"claude","max_tokens":9,"system":"s","messages":[ 1.50 ],"stream":true,"tools":[]}"#;
        const RESPONSES: &str =
            r#"{"model":"gpt","input":"x","store":false,"max_output_tokens":16,"text":{"verbosity":"low"}}"#;
        const GEMINI: &str = r#"{"systemInstruction":{},"contents":[1],"generationConfig":{},"toolConfig":{}}"#;
        let body = |kind, format, body: &str| {
            counting_body(kind, format, "m/1", body.as_bytes()).map(|body| String::from_utf8(body).unwrap())
        };
        for (kind, format, call, expected) in [
            (
                ProviderKind::Anthropic,
                Format::Messages,
                MESSAGES,
                Some(r#"{"model":"claude","system":"s","messages":[ 1.50 ],"tools":[]}"#),
            ),
            (
                ProviderKind::OpenAi,
                Format::Responses,
                RESPONSES,
                Some(r#"{"model":"gpt","input":"x","text":{"verbosity":"low"}}"#),
            ),
            (
                ProviderKind::Gemini,
                Format::GenerateContent,
                GEMINI,
                Some(
                    r#"{"generateContentRequest":{"model":"models/m/1","systemInstruction":{},"contents":[1],"generationConfig":{},"toolConfig":{}}}"#,
                ),
            ),
            (
                ProviderKind::Vertex,
                Format::GenerateContent,
                GEMINI,
                Some(r#"{"systemInstruction":{},"contents":[1],"generationConfig":{}}"#),
            ),
            (ProviderKind::OpenAi, Format::Chat, MESSAGES, None),
            (ProviderKind::Anthropic, Format::Messages, "[]", None),
        ] {
            assert_eq!(body(kind, format, call).as_deref(), expected, "{kind:?} {format:?}");
        }
    }

    #[test]
    fn a_count_of_gemini_contains_a_call_or_is_one() {
        let call = |endpoint, body: &'static str| std::str::from_utf8(counted_call(endpoint, body.as_bytes())).unwrap();
        let inner = r#"{"contents":[1],"generateContentRequest":{"model":"models/m","contents":[2]}}"#;
        assert_eq!(call(Endpoint::GeminiCountTokens, inner), r#"{"model":"models/m","contents":[2]}"#);
        assert_eq!(call(Endpoint::CountTokens, inner), inner);
        for plain in [r#"{"contents":[1]}"#, r#"{"generateContentRequest":null}"#, "no JSON"] {
            assert_eq!(call(Endpoint::GeminiCountTokens, plain), plain);
        }
    }

    #[test]
    fn a_count_is_a_whole_number_in_the_field_of_its_format() {
        for (format, body, expected) in [
            (Format::Messages, r#"{"input_tokens":7}"#, Some(7)),
            (Format::Responses, r#"{"object":"response.input_tokens","input_tokens":8}"#, Some(8)),
            (Format::GenerateContent, r#"{"totalTokens":9,"promptTokensDetails":[]}"#, Some(9)),
            (Format::Messages, r#"{"input_tokens":-1}"#, None),
            (Format::Messages, r#"{"input_tokens":"7"}"#, None),
            (Format::GenerateContent, r#"{"input_tokens":7}"#, None),
            (Format::Messages, "<html>", None),
        ] {
            assert_eq!(counted_tokens(format, body.as_bytes()), expected, "{body}");
        }
    }
}
