//! Translation between the formats of LLM providers.

use ai::endpoint::EndpointCall;
use ai::translate::{
    self, DroppedFields, GooglePath, JsonObject, ResponseIds, ResponseTranslator, TRANSLATED, TranslationOptions,
};
use ai::{Format, ProviderKind, ResponseFraming};

use crate::random::SeededRandom;

/// The value of [`super::FuzzTarget::words`] for requests.
pub const REQUEST_WORDS: &[&str] = &[
    "\"messages\":[",
    "\"input\":[",
    "\"tools\":[",
    "\"role\":\"user\",",
    "\"role\":\"assistant\",",
    "\"role\":\"system\",",
    "\"role\":\"tool\",",
    "\"content\":[",
    "\"content\":\"a\"",
    "{\"type\":\"text\",\"text\":\"a\"}",
    "{\"type\":\"input_text\",\"text\":\"a\"}",
    "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}",
    "{\"type\":\"tool_result\",\"tool_use_id\":\"a\",\"content\":\"b\"}",
    "{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\",\"arguments\":\"{}\"}",
    "{\"type\":\"function_call_output\",\"call_id\":\"a\",\"output\":\"b\"}",
    "{\"type\":\"thinking\",\"thinking\":\"a\",\"signature\":\"tg1.",
    "{\"type\":\"reasoning\",\"encrypted_content\":\"tg1.",
    "\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]",
    "\"tool_call_id\":\"a\",",
    "\"tool_choice\":",
    "{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[",
    "{\"type\":\"custom\",\"name\":\"f\"}",
    "{\"type\":\"search_result\",\"content\":[",
    "\"contents\":[",
    "\"parts\":[",
    "\"role\":\"model\",",
    "{\"functionCall\":{\"name\":\"f\"},\"thoughtSignature\":\"dGcxL",
    "{\"functionResponse\":{\"name\":\"f\",\"response\":{\"output\":",
    "\"functionDeclarations\":[{\"name\":\"f\",\"parameters\":{\"type\":\"OBJECT\",",
    "\"generationConfig\":{\"responseSchema\":{",
    "\"thinkingConfig\":{\"thinkingBudget\":-1}",
    "\"image_url\":{\"url\":\"data:image/png;base64,AA\"}",
    "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{",
    "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}",
    "\"reasoning_effort\":\"high\"",
    "\"temperature\":1e400",
    "\"max_tokens\":18446744073709551615",
    "\"stream\":true",
    "\"model\":\"m\"",
    "\\ud800",
    "null",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
];

/// The value of [`super::FuzzTarget::words`] for responses.
pub const RESPONSE_WORDS: &[&str] = &[
    "data: ",
    "event: message_start\n",
    "event: error\n",
    "\n\n",
    "data: [DONE]\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"model\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":1}}\n\n",
    "data: {\"type\":\"message_stop\"}\n\n",
    "data: {\"type\":\"response.created\",\"response\":{\"id\":\"a\"}}\n\n",
    "data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"b\"}}\n\n",
    "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"a\"}\n\n",
    "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"b\"}}\n\n",
    "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"a\",\"output\":[]}}\n\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\",\"thought\":true}]}}]}\n\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{}},\"thoughtSignature\":\"s\"}]}}]}\n\n",
    "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":1}}\n\n",
    "\\ud800",
    "1e400",
    "null",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
];

/// The names of models whose rules differ.
const MODELS: [&str; 5] = ["claude-opus-4-8", "claude-haiku-4-5", "gpt-6-sol", "gemini-3.5-flash", "m"];

fn options(model: &str, is_openai: bool) -> TranslationOptions<'_> {
    TranslationOptions {
        google: GooglePath { model: "m", ..GooglePath::default() },
        model,
        known_model: model,
        kind: ProviderKind::OpenAi,
        surface: ai::ClaudeSurface::Anthropic,
        host: if is_openai { "api.openai.com" } else { "localhost" },
        owner: "p",
        output_tokens_max: None,
        json_object: JsonObject::Instruct,
        dropped: DroppedFields::Header,
        prompt_cache: true,
    }
}

/// Whatever the body is, its translation is refused, or it is a call that the provider's format reads.
pub fn request(bytes: &[u8]) {
    let mut random = SeededRandom::from_bytes(bytes);
    let options = options(random.pick::<&str>(&MODELS), random.one_in(2));
    for from in TRANSLATED {
        if let Some(body) = translate::without_state(from, options.model, bytes) {
            assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&body).is_ok(), "no JSON without state");
        }
        for to in TRANSLATED.into_iter().filter(|to| *to != from) {
            let Ok(out) = translate::request(from, to, bytes, &options, &mut |_| true) else { continue };
            let called = EndpointCall::of_format(to, false, options.model).unwrap();
            let read = ai::request::read(&called, Some("application/json"), &out.body);
            let fields = read.unwrap_or_else(|error| panic!("{from:?} to {to:?}: {error}"));
            assert_eq!(fields.model, options.model);
        }
    }
}

/// A response has the same translation however its bytes are split, and never more than a bounded part is held.
pub fn response(bytes: &[u8]) {
    let mut random = SeededRandom::from_bytes(bytes);
    let client = *random.pick(&TRANSLATED);
    let others: Vec<Format> = TRANSLATED.into_iter().filter(|other| *other != client).collect();
    let provider = *random.pick(&others);
    let is_stream = !random.one_in(3);
    let is_array = is_stream && random.one_in(2);
    let status = if random.one_in(8) { 429 } else { 200 };
    let framing = if is_stream { ResponseFraming::Events } else { ResponseFraming::Json };
    let begin = || {
        let call = format!(
            r#"{{"model":"m","stream":{is_stream},"max_tokens":9,"messages":[{{"role":"user","content":"a"}}],"input":"a","contents":[{{"parts":[{{"text":"a"}}]}}]}}"#
        );
        let options = options("m", true);
        let google = GooglePath { is_streamed: is_stream, is_array, ..options.google };
        let options = TranslationOptions { google, ..options };
        let call = translate::request(client, provider, call.as_bytes(), &options, &mut |_| true).unwrap();
        let ids = ResponseIds { request_id: "0199", unix_seconds: 1_700_000_000 };
        ResponseTranslator::new(call.context, ids, framing, status)
    };
    let mut whole = begin();
    let mut expected = whole.push(bytes).to_vec();
    expected.extend_from_slice(&whole.end());
    let mut split = begin();
    let mut out = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(1 + random.below(rest.len().min(40)));
        out.extend_from_slice(&split.push(piece));
        rest = behind;
    }
    out.extend_from_slice(&split.end());
    assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected), "{client:?} of {provider:?}");
    assert!(std::str::from_utf8(&out).is_ok(), "the translation is not UTF-8");
}
