use proptest::prelude::*;

use super::*;

/// Parts of streams, so that random ones resemble real ones.
const SHREDS: &[&str] = &[
    "data: ",
    "event: x",
    "\n",
    "\r\n",
    "\n\n",
    "[DONE]",
    ": c",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ",",
    ":",
    "null",
    "7",
    "{}",
    "\"type\":\"message_start\"",
    "\"type\":\"response.created\"",
    "\"choices\":[{\"delta\":{\"content\":\"x\"}}]",
    "\"finish_reason\":\"stop\"",
    "\"error\":{}",
    "\"index\":0",
    "\"delta\":",
    "\"\\ud83d\"",
    "\u{e9}",
];
/// Names of fields, and strings, for random JSON.
const WORDS: &[&str] = &[
    "type",
    "choices",
    "delta",
    "message",
    "content",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "index",
    "id",
    "finish_reason",
    "error",
    "response",
    "item",
    "output",
    "output_index",
    "usage",
    "content_block",
    "thinking",
    "signature",
    "stop_reason",
    "function_call",
    "reasoning",
    "text",
    "tool_use",
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "response.created",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.delta",
    "response.completed",
    "input_json_delta",
    "text_delta",
    "stop",
    "candidates",
    "parts",
    "functionCall",
    "args",
    "thought",
    "thoughtSignature",
    "finishReason",
    "STOP",
    "usageMetadata",
    "promptFeedback",
    "blockReason",
    "",
];

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(WORDS).prop_map(str::to_owned)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0_u64..3).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The events of a real stream in a random order, some of them repeated or missing.
fn shuffled(stream: &'static str) -> impl Strategy<Value = String> {
    let events: Vec<&str> = stream.split_inclusive("\n\n").collect();
    let count = events.len();
    let random = prop::collection::vec(prop::sample::select(events), 0..2 * count);
    let last = stream.split_inclusive("\n\n").last().unwrap_or_default();
    let ordered = prop::collection::vec(any::<prop::sample::Index>(), 0..6).prop_map(move |missing| {
        let mut events: Vec<&str> = stream.split_inclusive("\n\n").collect();
        for index in missing {
            events.remove(index.index(events.len()));
        }
        events.concat()
    });
    prop_oneof![random.prop_map(move |events| events.concat() + last), ordered]
}

fn any_stream() -> impl Strategy<Value = (Format, Vec<u8>)> {
    let shreds = prop::collection::vec(prop::sample::select(SHREDS), 0..40).prop_map(|shreds| shreds.concat());
    let json = prop::collection::vec(any_json(), 0..6)
        .prop_map(|values| values.iter().map(|value| format!("data: {value}\n\n")).collect::<String>());
    let provider = prop::sample::select(FORMATS.to_vec());
    let real = prop::sample::select(STREAMS.to_vec())
        .prop_flat_map(|(format, stream)| (Just(format), shuffled(stream).prop_map(String::into_bytes)));
    prop_oneof![
        (provider.clone(), shreds.prop_map(String::into_bytes)),
        (provider.clone(), json.prop_map(String::into_bytes)),
        (provider, prop::collection::vec(any::<u8>(), 0..200)),
        real.clone(),
        real,
    ]
}

fn translated(client: Format, provider: Format, framing: ResponseFraming, pieces: &[&[u8]]) -> String {
    let streamed = framing == ResponseFraming::Events;
    let mut translator = ResponseTranslator::new(context(client, provider, streamed), IDS, framing, 200);
    let mut out: Vec<u8> = pieces.iter().flat_map(|piece| translator.push(piece)).collect();
    out.extend_from_slice(&translator.end());
    String::from_utf8(out).unwrap()
}

proptest! {
    #[test]
    fn any_bytes_give_a_stream_that_the_sdks_accept_in_any_pieces(
        stream in any_stream(),
        client in prop::sample::select(FORMATS.to_vec()),
        size in 1_usize..100,
    ) {
        let (provider, bytes) = stream;
        prop_assume!(client != provider);
        let whole = translated(client, provider, ResponseFraming::Events, &[&bytes]);
        check_stream(client, &whole);
        let pieces: Vec<_> = bytes.chunks(size).collect();
        prop_assert_eq!(translated(client, provider, ResponseFraming::Events, &pieces), whole);
    }

    #[test]
    fn any_body_gives_one_json_object(
        body in any_json(),
        client in prop::sample::select(FORMATS.to_vec()),
        provider in prop::sample::select(FORMATS.to_vec()),
    ) {
        prop_assume!(client != provider);
        let out = translated(client, provider, ResponseFraming::Json, &[body.to_string().as_bytes()]);
        let out: Value = serde_json::from_str(&out).unwrap();
        prop_assert!(out.is_object());
    }

    #[test]
    fn text_survives_in_every_pair_of_formats(text in "\\PC{1,40}", client in prop::sample::select(FORMATS.to_vec())) {
        prop_assume!(client != Format::Chat);
        let chunk = serde_json::json!({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]});
        let stream = format!("data: {chunk}\n\n");
        let out = translated(client, Format::Chat, ResponseFraming::Events, &[stream.as_bytes()]);
        let back = translated(Format::Chat, client, ResponseFraming::Events, &[out.as_bytes()]);
        let is_text = |(_, chunk): &(String, Value)| chunk.pointer("/choices/0/delta/content") == Some(&Value::from(text.clone()));
        prop_assert!(events(&back).iter().any(is_text), "{}", back);
    }
}
