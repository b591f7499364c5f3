use serde_json::Value;

use super::*;
use crate::provider::ProviderKind;
use crate::translate::context::ToolOrigin;
use rules::{check_stream, events};

mod bodies;
mod endings;
mod errors;
mod generate_content;
mod google_clients;
mod hostile;
mod order;
mod property_tests;
mod rules;
mod schemas;

/// The same response of a provider in each format: reasoning, text, and calls, of which some interleave if the format has that.
const STREAMS: [(Format, &str); 4] = [
    (Format::Chat, include_str!("tests/fixtures/chat.sse")),
    (Format::Responses, include_str!("tests/fixtures/responses.sse")),
    (Format::Messages, include_str!("tests/fixtures/messages.sse")),
    (Format::GenerateContent, include_str!("tests/fixtures/generate_content.sse")),
];
const FORMATS: [Format; 4] = crate::translate::TRANSLATED;
const IDS: ResponseIds<'static> = ResponseIds { request_id: "0199-aa", unix_seconds: 1_790_000_000 };

/// A context with a tool of each origin that the client's format has.
fn context(client: Format, provider: Format, streamed: bool) -> ResponseContext {
    let function = |name: &str| ToolOrigin::Function { name: name.to_owned() };
    let namespaced = |name: &str| ToolOrigin::Namespaced { namespace: "files".to_owned(), name: name.to_owned() };
    let custom = || ToolOrigin::Custom { namespace: None, name: "apply_patch".to_owned() };
    let tools = if client == Format::Responses {
        vec![("apply_patch", custom()), ("files__read", namespaced("read")), ("files__list", namespaced("list"))]
    } else if client == Format::Chat {
        vec![("apply_patch", custom()), ("files__read", function("read the file"))]
    } else {
        vec![("files__read", function("read the file"))]
    };
    let echo = serde_json::value::RawValue::from_string("\"Be\\n brief.\"".to_owned()).unwrap();
    ResponseContext {
        client,
        provider,
        kind: ProviderKind::Mock,
        streamed,
        is_array: false,
        include_usage: true,
        model: "smart".to_owned(),
        provider_model: "p-1".to_owned(),
        owner: "p".to_owned(),
        tools: tools.into_iter().map(|(name, origin)| (name.to_owned(), origin)).collect(),
        stop_sequences: vec!["END".to_owned()],
        input_bytes: 4_000,
        echo: vec![("instructions", echo)],
    }
}

fn in_pieces(mut translator: ResponseTranslator, bytes: &[u8], size: usize) -> String {
    let mut out = Vec::new();
    for piece in bytes.chunks(size.max(1)) {
        out.extend_from_slice(&translator.push(piece));
    }
    out.extend_from_slice(&translator.end());
    assert!(translator.end().is_empty() && translator.push(b"data: {}\n\n").is_empty());
    String::from_utf8(out).unwrap()
}

/// Translates a stream of the provider into one for the client, and checks its order.
fn streamed(client: Format, provider: Format, stream: &str) -> String {
    let translator = || {
        let translator = ResponseTranslator::new(context(client, provider, true), IDS, ResponseFraming::Events, 200);
        assert_eq!(translator.content_type(), "text/event-stream");
        translator
    };
    let whole = in_pieces(translator(), stream.as_bytes(), stream.len());
    check_stream(client, &whole);
    for size in [1, 2, 3, 7, 64, 500] {
        assert_eq!(in_pieces(translator(), stream.as_bytes(), size), whole, "pieces of {size}");
    }
    whole
}

/// Translates a response into a body for the client.
fn body(client: Format, provider: Format, framing: ResponseFraming, status: u16, bytes: &str) -> Value {
    let translator = || ResponseTranslator::new(context(client, provider, false), IDS, framing, status);
    assert_eq!(translator().content_type(), "application/json");
    let whole = in_pieces(translator(), bytes.as_bytes(), bytes.len());
    assert_eq!(in_pieces(translator(), bytes.as_bytes(), 5), whole);
    serde_json::from_str(&whole).unwrap_or_else(|error| panic!("{error}: {whole}"))
}

/// Returns the data of chat chunks as a stream.
fn chunks(chunks: &[&str]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect()
}
