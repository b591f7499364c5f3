//! Bodies of LLM requests in JSON: parsing, and edits of single fields.

use std::fmt;

use access::Tokens;
use ai::bound::RemainingBudget;
use ai::endpoint::EndpointCall;
use ai::models::TokenLimits;
use ai::request::{self, CallError, RewrittenBody};
use ai::{Endpoint, Extent, Format, RequestFields};
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The value of [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &[
    "/v1/chat/completions\n",
    "/v1/responses\n",
    "/v1/messages\n",
    "/v1/completions\n",
    "/v1/embeddings\n",
    "/v1/moderations\n",
    "/v1/audio/speech\n",
    "/v1/images/generations\n",
    "/openai/deployments/m/chat/completions\n",
    "/v1beta/models/m:generateContent\n",
    "/v1beta/models/m:countTokens\n",
    "/v1beta/models/m:batchEmbedContents\n",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\"model\":\"m\"",
    "\"model\":\"models/m\"",
    "\"mod\\u0065l\":",
    "\"model\":",
    "\"stream\":true",
    "\"stream\":",
    "\"stream_options\":",
    "\"stream_options\":{}",
    "\"stream_options\":{\"include_usage\":false}",
    "\"include_usage\":",
    "\"requests\":[{\"model\":\"models/m\"}]",
    "\"generateContentRequest\":{",
    "\"generate_content_request\":{",
    "\"input\":\"h\u{e9}\"",
    "\"stream_format\":\"sse\"",
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "\"\"",
    "\"x\":",
    "1e400",
    "-0",
    "\\ud800",
    "\\u0000",
    "\u{e9}",
    "\u{feff}",
    "\n",
    "\t",
];

/// The model name that the edits insert.
const OTHER: &str = "other \"model\" \u{e9}\n";
/// The formats with `stream_options`.
const CHATS: [Option<Format>; 2] = [Some(Format::Chat), Some(Format::Completions)];

/// The first line is the path, the rest is the body. A parsed body is JSON and its fields were parsed correctly; edits
/// change no other field.
pub fn request_body(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let line = &bytes[..end];
    let body = bytes.get(end + 1..).unwrap_or_default();
    let path = String::from_utf8_lossy(line);
    let called = EndpointCall::from_path(&path).filter(|called| called.endpoint.format().is_some());
    let called = called.or_else(|| EndpointCall::from_path("/v1/chat/completions")).unwrap();
    // Another target tests forms.
    if matches!(called.endpoint, Endpoint::AudioTranscriptions | Endpoint::AudioTranslations) {
        return;
    }
    let read = request::read(&called, Some("application/json"), body);
    let fields = std::str::from_utf8(body).ok().and_then(|text| serde_json::from_str::<JsonFields<'_>>(text).ok());
    match (read, fields) {
        (Ok(parsed), Some(fields)) => {
            fields_match(&called, &parsed, &fields);
            let body = Bytes::copy_from_slice(body);
            bounded(&called, &parsed, &body);
            let same = parsed.rewrite(&body, &parsed.model, false);
            if called.model.is_none() {
                assert!(same.body() == body && !same.usage_injected, "the body changed although no edit was requested");
            }
            for usage in [false, true] {
                let out = parsed.rewrite(&body, OTHER, usage);
                let is_injected = parsed.stream && !parsed.include_usage && CHATS.contains(&called.endpoint.format());
                assert_eq!(out.usage_injected, usage && is_injected);
                rewritten(&called, &parsed, &out, &fields);
            }
        }
        (Ok(_), None) => panic!("accepted, but not a JSON object"),
        (Err(error), fields) => refused(body, &error, fields.is_some()),
    }
}

/// The body has an upper bound of its cost, and lowering the bound gives JSON that requests at most that.
fn bounded(called: &EndpointCall<'_>, parsed: &RequestFields, body: &Bytes) {
    let limits = Some(TokenLimits { input_tokens_max: 100_000, output_tokens_max: 4_096 });
    let extent = Extent::read(called, parsed, body);
    let bound = extent.bound(None, limits);
    let left = RemainingBudget { tokens: Some(bound.tokens.unwrap().saturating_sub(Tokens(1))), money: None };
    let Some(lowered) = extent.clamp(None, limits, left) else { return };
    let each = lowered.max_tokens;
    assert!(extent.limited(each).bound(None, limits).tokens <= left.tokens);
    let out = parsed.clone().with_limit(lowered).rewrite(body, &parsed.model, false).body();
    serde_json::from_slice::<serde::de::IgnoredAny>(&out).unwrap();
    let again = Extent::read(called, parsed, &out).bound(None, limits).output_tokens_max.unwrap();
    // Predicted text is counted by bytes, which include the edits.
    assert!(again <= bound.output_tokens_max.unwrap().saturating_add(Tokens(out.len() as u64)));
}

fn refused(body: &[u8], error: &CallError, is_object: bool) {
    let (offset, is_form) = match error {
        CallError::NotUtf8 { offset } | CallError::Syntax { offset, .. } | CallError::NotAnObject { offset } => {
            (*offset, true)
        }
        CallError::Invalid { offset, .. }
        | CallError::Duplicate { offset, .. }
        | CallError::Unsupported { offset, .. } => (*offset, false),
        CallError::Missing { .. } => (0, false),
        CallError::LongModel { .. } => return,
        CallError::NoBoundary | CallError::Multipart { .. } => panic!("{error}, but the body is not a form"),
    };
    assert!(offset <= body.len() && error.to_string().len() < 600, "{error}");
    // Names with half a surrogate pair are accepted in skipped objects only.
    let has_escapes = body.windows(2).any(|two| two == b"\\u");
    if is_object {
        assert!(!is_form || has_escapes, "{error}, but the body is an object");
    } else {
        assert!(is_form, "{error}, but the body is not an object");
    }
}

fn string(value: Option<&str>) -> Option<String> {
    value.and_then(|value| serde_json::from_str(value).ok())
}

fn is_google(called: &EndpointCall<'_>) -> bool {
    matches!(called.endpoint.format(), Some(Format::GenerateContent | Format::EmbedContent))
}

/// The parsed values equal the fields.
fn fields_match(called: &EndpointCall<'_>, parsed: &RequestFields, fields: &JsonFields<'_>) {
    let written = string(fields.named("model"));
    match (&called.model, written) {
        (Some(model), _) => assert_eq!(parsed.model, **model),
        (None, Some(written)) => assert_eq!(parsed.model, written),
        (None, None) => assert_eq!(called.endpoint, Endpoint::Moderations),
    }
    assert!((1..=request::MODEL_BYTES_MAX).contains(&parsed.model.len()));
    if let Some(Format::Chat | Format::Completions | Format::Responses | Format::Messages) = called.endpoint.format() {
        assert_eq!(parsed.stream, fields.named("stream") == Some("true"));
    }
}

fn rewritten(called: &EndpointCall<'_>, parsed: &RequestFields, out: &RewrittenBody, fields: &JsonFields<'_>) {
    let sent = out.body();
    let again: JsonFields<'_> = serde_json::from_slice(&sent).unwrap();
    let target = called.target(OTHER, None);
    let called = EndpointCall::from_path(target.split('?').next().unwrap()).unwrap();
    let reread = request::read(&called, Some("application/json"), &sent).unwrap();
    assert_eq!((reread.model.as_str(), reread.stream), (OTHER, parsed.stream));
    assert_eq!(reread.billable, parsed.billable);
    if out.usage_injected {
        let options: JsonFields<'_> = serde_json::from_str(again.named("stream_options").unwrap()).unwrap();
        assert_eq!(options.named("include_usage"), Some("true"));
        assert!(reread.include_usage);
    } else {
        assert_eq!(again.named("stream_options"), fields.named("stream_options"));
    }
    match (is_google(&called), fields.named("model")) {
        (true, None) => assert_eq!(again.named("model"), None),
        (true, Some("null")) => assert_eq!(again.named("model"), Some("null")),
        (true, Some(_)) => assert_eq!(string(again.named("model")), Some(format!("models/{OTHER}"))),
        (false, _) => assert_eq!(string(again.named("model")).as_deref(), Some(OTHER)),
    }
    assert_eq!(again.others(), fields.others(), "another field changed");
}

/// The fields in their order, with the original text of the values.
struct JsonFields<'a>(Vec<(String, &'a RawValue)>);

impl JsonFields<'_> {
    fn named(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.get())
    }

    /// The fields that no edit changes.
    fn others(&self) -> Vec<(&str, &str)> {
        const EDITED: [&str; 5] =
            ["model", "stream_options", "requests", "generateContentRequest", "generate_content_request"];
        let others = self.0.iter().filter(|(name, _)| !EDITED.contains(&name.as_str()));
        others.map(|(name, value)| (name.as_str(), value.get())).collect()
    }
}

impl<'de> Deserialize<'de> for JsonFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = JsonFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(JsonFields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}
