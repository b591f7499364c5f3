mod hosts;
mod references;
mod tools;

use access::{NanoUsd, Tokens};
use bytes::Bytes;
use meter::{Rates, UnitRates};

use super::*;
use crate::endpoint::{EndpointCall, EndpointMatch};
use crate::price::{LongContextRates, Prices};
use crate::{Endpoint, RequestFields};

/// The day 2026-11-21 in UTC.
pub(super) const DAY: access::Day = access::Day(20_778);

pub(super) fn called(path: &str) -> (Endpoint, EndpointCall<'_>) {
    let EndpointMatch::Endpoint(called) = Endpoint::find("POST", path) else { panic!("{path}") };
    (called.endpoint, called)
}

pub(super) fn fields_of(path: &str, body: &str) -> RequestFields {
    crate::request::read(&called(path).1, Some("application/json"), body.as_bytes()).unwrap()
}

pub(super) fn extent(path: &str, body: &str) -> Extent {
    Extent::read(&called(path).1, &fields_of(path, body), body.as_bytes())
}

pub(super) fn limits(provider: &str, model: &str) -> Option<TokenLimits> {
    TokenLimits::find(provider, [model])
}

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";
const GEMINI: &str = "/v1beta/models/m:generateContent";

const LIMITS: Option<TokenLimits> = Some(TokenLimits { input_tokens_max: 100_000, output_tokens_max: 1_000 });

/// Returns a price of 1 nano-USD per token of any class.
fn flat() -> Price {
    Price::configured(Rates { image_output: None, ..Rates::flat(1_000) }, UnitRates::default())
}

fn bound(path: &str, body: &str) -> Bound {
    extent(path, body).bound(Some(&flat()), LIMITS)
}

/// Returns a body with the fields of `inside` beside a model.
fn body(inside: &str) -> String {
    format!(r#"{{"model":"m",{inside}}}"#)
}

fn output(path: &str, inside: &str) -> u64 {
    bound(path, &body(inside)).output_tokens_max.unwrap().0
}

#[test]
fn text_is_bounded_by_its_bytes_and_a_fixed_overhead() {
    for len in [0, 1, 1_000, 50_000] {
        let body = body(&format!(r#""messages":[{{"role":"user","content":"{}"}}],"max_tokens":7"#, "x".repeat(len)));
        let expected = body.len() as u64 + 512 + 7;
        let bound = bound(CHAT, &body);
        assert_eq!((bound.tokens, bound.money), (Some(Tokens(expected)), Some(NanoUsd(expected.cast_signed()))));
        assert_eq!((bound.unbounded, bound.unknown()), (None, None));
    }
    let tools = body(r#""tools":[{"type":"function","function":{"name":"f"}}],"max_tokens":1"#);
    assert_eq!(bound(CHAT, &tools).tokens, Some(Tokens(tools.len() as u64 + 512 + 4_096 + 1)));
}

#[test]
fn output_is_the_limit_in_each_formats_own_words() {
    for (path, inside, expected) in [
        (CHAT, r#""max_tokens":7"#, 7),
        (CHAT, r#""max_completion_tokens":8"#, 8),
        (CHAT, r#""max_tokens":7,"max_completion_tokens":8"#, 8),
        (CHAT, r#""max_output_tokens":7"#, 1_000),
        (CHAT, r#""max_tok\u0065ns":7"#, 7),
        (CHAT, r#""max_tokens":7,"max_tokens":9"#, 9),
        (CHAT, r#""max_tokens":9,"max_tokens":7"#, 9),
        (CHAT, r#""max_tokens":9,"max_completion_tokens":null"#, 9),
        (CHAT, r#""max_tokens":null"#, 1_000),
        (CHAT, r#""max_tokens":9,"max_tokens":null"#, 1_000),
        (CHAT, r#""max_tokens":null,"max_tokens":9"#, 1_000),
        (CHAT, r#""max_tokens":"7""#, 7),
        (CHAT, r#""max_tokens":6.1"#, 7),
        (CHAT, r#""max_tokens":1e2"#, 100),
        (CHAT, r#""max_tokens":-1"#, 1_000),
        (CHAT, r#""max_tokens":{}"#, 1_000),
        (CHAT, r#""max_tokens":5000"#, 5_000),
        (CHAT, r#""metadata":{"max_tokens":7}"#, 1_000),
        (CHAT, r#""messages":[]"#, 1_000),
        ("/v1/completions", r#""prompt":"x","max_tokens":7"#, 7),
        (RESPONSES, r#""max_output_tokens":7"#, 7),
        (RESPONSES, r#""max_tokens":7"#, 1_000),
        (MESSAGES, r#""max_tokens":7"#, 7),
        (GEMINI, r#""generationConfig":{"maxOutputTokens":7}"#, 7),
        (GEMINI, r#""generation_config":{"max_output_tokens":7}"#, 7),
        (GEMINI, r#""maxOutputTokens":7"#, 1_000),
        ("/v1/embeddings", r#""input":"x""#, 0),
        ("/v1/moderations", r#""input":"x""#, 0),
    ] {
        let text = if path == GEMINI { format!("{{{inside}}}") } else { body(inside) };
        assert_eq!(bound(path, &text).output_tokens_max, Some(Tokens(expected)), "{path} {inside}");
    }
}

#[test]
fn output_is_the_limit_of_each_requested_answer() {
    for (inside, expected) in [
        (r#""max_tokens":7,"n":3"#, 21),
        (r#""n":3,"max_tokens":7,"n":2"#, 21),
        (r#""max_tokens":7,"n":null"#, 7),
        (r#""max_tokens":7,"n":0"#, 7),
        (r#""max_tokens":7,"n":"3""#, 21),
        (r#""max_tokens":7,"n":[3]"#, 7),
        (r#""max_tokens":7,"n":true"#, 7 * 128),
        (r#""n":3"#, 3_000),
    ] {
        assert_eq!(output(CHAT, inside), expected, "{inside}");
    }
    for (inside, expected) in [
        (r#""prompt":"x","max_tokens":7,"n":2,"best_of":5"#, 35),
        (r#""prompt":["x","y"],"max_tokens":7,"n":2"#, 28),
        (r#""prompt":[1,2,3],"max_tokens":7"#, 7),
        (r#""prompt":[[1,2],[3]],"max_tokens":7"#, 14),
        (r#""prompt":["x"],"max_tokens":7"#, 7),
    ] {
        assert_eq!(output("/v1/completions", inside), expected, "{inside}");
    }
    let candidates = r#"{"generationConfig":{"candidateCount":4,"maxOutputTokens":7}}"#;
    assert_eq!(bound(GEMINI, candidates).output_tokens_max, Some(Tokens(28)));
    let predicted = body(r#""max_tokens":7,"prediction":{"type":"content","content":"x"}"#);
    assert_eq!(bound(CHAT, &predicted).output_tokens_max, Some(Tokens(7 + predicted.len() as u64)));
}

#[test]
fn inline_images_are_bounded_per_image_and_not_by_their_bytes() {
    let data = "A".repeat(30_000);
    for (path, inside, tokens) in [
        (
            CHAT,
            format!(
                r#""max_tokens":7,"messages":[{{"content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}]}}]"#
            ),
            65_536,
        ),
        (
            MESSAGES,
            format!(
                r#""max_tokens":7,"messages":[{{"content":[{{"source":{{"type":"base64","data":"{data}","media_type":"image/png"}}}}]}}]"#
            ),
            5_000,
        ),
        (
            GEMINI,
            format!(
                r#""contents":[{{"parts":[{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}}]}}],"generationConfig":{{"maxOutputTokens":7}}"#
            ),
            8_192,
        ),
    ] {
        let text = if path == GEMINI { format!("{{{inside}}}") } else { body(&inside) };
        let bound = bound(path, &text);
        assert!((tokens..tokens + 1_000).contains(&bound.tokens.unwrap().0), "{path} {:?}", bound.tokens);
        assert_eq!(bound.unbounded, None, "{path}");
    }
    let text = format!(
        r#""max_tokens":7,"messages":[{{"content":[{{"source":{{"type":"text","data":"{data}","media_type":"text/plain"}}}}]}}]"#
    );
    assert!(bound(MESSAGES, &body(&text)).tokens.unwrap() > Tokens(30_000));
}

/// Returns the price of one more input token, in nano-USD.
fn input_rate(name: &str, path: &str, inside: &str) -> Option<i64> {
    let (provider, model) = name.split_once('/').unwrap();
    let prices = Prices::builtin();
    let filler = "x".repeat(100_000);
    let text = |filler: &str| {
        let fields = format!(r#"{inside}"user":"{filler}""#);
        if path == GEMINI { format!("{{{fields}}}") } else { body(&fields) }
    };
    let money = |filler: &str| {
        extent(path, &text(filler)).bound(prices.find(provider, [model], DAY), limits(provider, model)).money
    };
    Some((money(&filler)?.0 - money("")?.0) / 100_000)
}

#[test]
fn input_costs_the_dearest_class_that_may_apply() {
    let cached = r#""max_tokens":7,"system":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}],"#;
    let hour =
        r#""max_tokens":7,"system":[{"type":"text","text":"x","cache_control":{"type":"ephemeral","ttl":"1h"}}],"#;
    for (name, path, inside, rate) in [
        ("anthropic/claude-opus-5", MESSAGES, r#""max_tokens":7,"#, Some(5_000)),
        ("anthropic/claude-opus-5", MESSAGES, cached, Some(6_250)),
        ("anthropic/claude-opus-5", MESSAGES, hour, Some(10_000)),
        ("anthropic/claude-opus-5", MESSAGES, r#""max_tokens":7,"cache_control":{"type":"ephemeral"},"#, Some(6_250)),
        ("openai/gpt-5", CHAT, "", Some(1_250)),
        ("openai/gpt-6.1-sol", CHAT, "", Some(5_000)),
        ("openai/gpt-5", CHAT, r#""service_tier":"priority","#, Some(2_500)),
        ("openai/gpt-5", CHAT, r#""service_tier":"fast","#, Some(2_500)),
        ("openai/gpt-5", CHAT, r#""service_tier":"flex","#, Some(1_250)),
        ("openai/gpt-5", CHAT, r#""service_tier":"auto","#, Some(1_250)),
        ("openai/gpt-5", CHAT, r#""service_tier":"scale","#, None),
        ("openai/gpt-5-nano", CHAT, r#""service_tier":"priority","#, None),
        ("openai/gpt-6-astra", RESPONSES, r#""service_tier":"ultrafast","#, Some(150_000)),
        ("anthropic/claude-opus-5", MESSAGES, r#""max_tokens":7,"speed":"fast","#, Some(10_000)),
        ("anthropic/claude-opus-5", MESSAGES, r#""max_tokens":7,"speed":"fast","inference_geo":"us","#, Some(11_000)),
        ("anthropic/claude-opus-5", MESSAGES, r#""max_tokens":7,"inference_geo":"us","#, Some(5_500)),
        ("anthropic/claude-opus-5", MESSAGES, r#""max_tokens":7,"inference_geo":"eu","#, None),
        ("anthropic/claude-sonnet-5", MESSAGES, r#""max_tokens":7,"speed":"fast","#, None),
        ("gemini/gemini-2.5-pro", GEMINI, r#""serviceTier":"priority","#, Some(2_250)),
        ("gemini/gemini-2.5-pro", GEMINI, "", Some(1_250)),
        ("gemini/gemini-2.5-pro", GEMINI, r#""service_tier":"later","#, None),
    ] {
        assert_eq!(input_rate(name, path, inside), rate, "{name} {inside}");
    }
}

#[test]
fn possibly_long_requests_are_bounded_at_long_rates() {
    let prices = Prices::builtin();
    let price = prices.find("openai", ["gpt-5.4"], DAY).unwrap();
    let money = |len: usize| {
        let text = body(&format!(r#""max_completion_tokens":1000,"user":"{}""#, "x".repeat(len)));
        let bound = extent(CHAT, &text).bound(Some(price), limits("openai", "gpt-5.4"));
        (bound.tokens.unwrap().0 - 1_000, bound.money.unwrap().0)
    };
    let (tokens, cost) = money(200_000);
    assert_eq!(cost, (tokens * 2_500 + 1_000 * 15_000).cast_signed());
    let (tokens, cost) = money(272_000);
    assert_eq!(cost, (tokens * 5_000 + 1_000 * 22_500).cast_signed());
    let priority = body(&format!(r#""service_tier":"priority","max_tokens":7,"user":"{}""#, "x".repeat(272_000)));
    let bound = extent(CHAT, &priority).bound(Some(price), limits("openai", "gpt-5.4"));
    assert_eq!((bound.money, bound.unknown()), (None, Some(MissingFact::Price)));
}

#[test]
fn a_missing_price_or_limit_is_named() {
    let text = body(r#""messages":[]"#);
    let read = extent(CHAT, &text);
    assert_eq!(read.bound(Some(&flat()), None).unknown(), Some(MissingFact::Limits));
    let unpriced = read.bound(None, LIMITS);
    assert_eq!(
        (unpriced.unknown(), unpriced.tokens),
        (Some(MissingFact::Price), Some(Tokens(text.len() as u64 + 512 + 1_000)))
    );
    let limited = extent(CHAT, &body(r#""messages":[],"max_tokens":7"#));
    assert_eq!(limited.bound(Some(&flat()), None).unknown(), None);
    let no_output = Price::configured(Rates { input: Some(1), ..Rates::default() }, UnitRates::default());
    assert_eq!(limited.bound(Some(&no_output), None).unknown(), Some(MissingFact::Price));
}

#[test]
fn free_usage_is_bounded_at_zero() {
    for path in ["/v1/messages/count_tokens", "/v1/moderations"] {
        let bound = extent(path, &body(r#""messages":[],"previous_response_id":"x""#)).bound(None, None);
        assert_eq!((bound.tokens, bound.money, bound.unbounded), (Some(Tokens(0)), Some(NanoUsd(0)), None), "{path}");
    }
    let (_, counts) = called("/v1beta/models/m:countTokens");
    assert_eq!(Extent::read(&counts, &RequestFields::default(), b"{}").bound(None, None).money, Some(NanoUsd(0)));
}

#[test]
fn a_model_with_free_tokens_is_bounded_in_money_without_a_limit() {
    let prices = Prices::builtin();
    // The same price as a compiled row of the configuration.
    let configured = |input: Option<u64>, output, units| {
        let rates =
            Rates { output, audio_input: None, audio_output: None, image_output: None, ..Rates::flat(input.unwrap()) };
        Price::configured(rates, units)
    };
    let zero = configured(Some(0), Some(0), UnitRates::default());
    let with_fee = configured(Some(0), Some(0), UnitRates { request: Some(9_000), ..UnitRates::default() });
    let gemma = prices.find("gemini", ["gemma-4-31b-it"], DAY).unwrap();
    let url = r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://example.com/a.png"}}]}]}"#;
    for (path, text, price, money) in [
        (GEMINI, r#"{"contents":[{"parts":[{"text":"Hi."}]}]}"#.to_owned(), gemma, Some(0)),
        (GEMINI, url.to_owned(), gemma, Some(0)),
        (GEMINI, r#"{"contents":[],"tools":[{"googleSearch":{}}]}"#.to_owned(), gemma, Some(0)),
        (CHAT, body(r#""messages":[]"#), &zero, Some(0)),
        (CHAT, body(r#""messages":[]"#), &with_fee, Some(9)),
        (CHAT, body(r#""web_search_options":{}"#), &zero, None),
        (CHAT, body(r#""messages":[]"#), &configured(Some(0), Some(1), UnitRates::default()), None),
        (CHAT, body(r#""messages":[]"#), &configured(Some(0), None, UnitRates::default()), None),
        (
            CHAT,
            body(r#""messages":[]"#),
            &Price { long: Some(LongContextRates { above_tokens: 9, rates: Rates::flat(1) }), ..zero.clone() },
            None,
        ),
    ] {
        let bound = extent(path, &text).bound(Some(price), None);
        assert_eq!((bound.tokens, bound.money), (None, money.map(NanoUsd)), "{text} {}", price.version);
        assert_eq!(bound.unknown(), Some(MissingFact::Limits), "a budget of tokens needs a limit");
    }
}

#[test]
fn the_cost_of_usage_that_is_sold_by_unit_is_known_in_advance() {
    let prices = Prices::builtin();
    let tts = prices.find("openai", ["tts-1"], DAY);
    let speech = extent("/v1/audio/speech", &body(r#""input":"héllo""#)).bound(tts, None);
    assert_eq!((speech.money, speech.tokens, speech.unknown()), (Some(NanoUsd(75_000)), Some(Tokens(0)), None));
    let drawn = Price::configured(Rates::default(), UnitRates { image: Some(40_000_000_000), ..UnitRates::default() });
    let images = extent("/v1/images/generations", &body(r#""prompt":"x","n":3"#)).bound(Some(&drawn), None);
    assert_eq!(images.money, Some(NanoUsd(120_000_000)));
    let gpt = prices.find("openai", ["gpt-image-2"], DAY);
    let by_token = extent("/v1/images/generations", &body(r#""prompt":"x""#)).bound(gpt, None);
    assert_eq!(by_token.unknown(), Some(MissingFact::Limits));
}

/// Returns a form of `bytes` bytes at `path`.
fn form(path: &str, model: &str, bytes: usize) -> Extent {
    let field = format!("--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n");
    let head = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n";
    let before = format!("{field}{head}");
    let after = "\r\n--x--\r\n";
    let body = format!("{before}{}{after}", "a".repeat(bytes - before.len() - after.len()));
    let (_, called) = called(path);
    let fields_of = crate::request::read(&called, Some("multipart/form-data; boundary=x"), body.as_bytes()).unwrap();
    Extent::read(&called, &fields_of, body.as_bytes())
}

#[test]
fn images_speech_and_transcription_are_bounded_as_a_window() {
    let prices = Prices::builtin();
    let bound = |extent: &Extent, model| extent.bound(prices.find("openai", [model], DAY), limits("openai", model));
    // A thousand bytes are presumed to be at most a second of sound.
    let heard = form("/v1/audio/transcriptions", "whisper-1", 60_000);
    let whisper = bound(&heard, "whisper-1");
    assert_eq!((whisper.money, whisper.tokens), (Some(NanoUsd(6_000_000)), Some(Tokens(0))));
    assert_eq!(whisper.unbounded, Some(Reference::Upload));
    let heard = form("/v1/audio/transcriptions", "gpt-transcribe", 60_000);
    assert_eq!(bound(&heard, "gpt-transcribe").money, Some(NanoUsd(4_500_000)));
    let spoken = extent("/v1/audio/speech", &body(r#""input":"hello""#));
    assert_eq!(bound(&spoken, "gpt-4o-mini-tts").output_tokens_max, Some(Tokens(32_768)));
    let drawn = extent("/v1/images/generations", &body(r#""prompt":"x","n":2"#));
    for (model, each) in [
        ("gpt-image-2", 32_768),
        ("gpt-image-2.5-flare", 32_768),
        ("gpt-image-2.5-sunburst", 32_768),
        ("gpt-image-1.5", 16_384),
        ("gpt-image-1-mini", 16_384),
        ("chatgpt-image-latest", 16_384),
    ] {
        assert_eq!(bound(&drawn, model).output_tokens_max, Some(Tokens(2 * each)), "{model}");
        let edited = bound(&form("/v1/images/edits", model, 60_000), model);
        assert_eq!(edited.unknown(), None, "{model}");
        assert_eq!(
            (edited.output_tokens_max, edited.unbounded),
            (Some(Tokens(10 * each)), Some(Reference::Upload)),
            "{model}"
        );
        assert_eq!(edited.tokens, Some(Tokens(10 * each + 390_144)), "{model}");
    }
}

#[test]
fn a_fee_of_a_request_is_part_of_its_bound() {
    let fee = UnitRates { request: Some(7_000), ..UnitRates::default() };
    let price = Price { units: fee, ..flat() };
    let text = body(r#""max_tokens":7,"n":2"#);
    let plain = extent(CHAT, &text).bound(Some(&flat()), LIMITS).money.unwrap();
    let with_fee = extent(CHAT, &text).bound(Some(&price), LIMITS).money.unwrap();
    assert_eq!(with_fee.0 - plain.0, 7);
    let units = UnitRates { image: Some(5_000), ..fee };
    let drawn = Price::configured(Rates::default(), units);
    let images = extent("/v1/images/generations", &body(r#""prompt":"x","n":3"#)).bound(Some(&drawn), None);
    assert_eq!(images.money, Some(NanoUsd(15 + 7)));
}

#[test]
fn image_generation_is_bounded_by_the_models_limit() {
    let prices = Prices::builtin();
    let price = prices.find("gemini", ["gemini-2.5-flash-image"], DAY);
    let text = r#"{"contents":[],"generationConfig":{"maxOutputTokens":7}}"#;
    let bound = extent(GEMINI, text).bound(price, limits("gemini", "gemini-2.5-flash-image"));
    assert_eq!(bound.output_tokens_max, Some(Tokens(32_768)));
}

fn clamp(path: &str, body: &str, tokens: u64) -> Option<String> {
    let read = extent(path, body);
    let lowered = read.clamp(None, LIMITS, RemainingBudget { tokens: Some(Tokens(tokens)), money: None })?;
    let model = fields_of(path, body).model;
    let out =
        fields_of(path, body).with_limit(lowered).rewrite(&Bytes::copy_from_slice(body.as_bytes()), &model, false);
    Some(String::from_utf8(out.body().to_vec()).unwrap())
}

#[test]
fn an_output_limit_is_lowered_or_added() {
    for (path, before, left, after) in [
        (CHAT, r#"{"model":"m","max_tokens": 900 }"#, 100, Some(r#"{"model":"m","max_tokens": 100 }"#)),
        (CHAT, r#"{"model":"m","max_tokens":90}"#, 100, Some(r#"{"model":"m","max_tokens":90}"#)),
        (CHAT, r#"{"model":"m","n":3,"max_tokens":900}"#, 100, Some(r#"{"model":"m","n":3,"max_tokens":33}"#)),
        (
            CHAT,
            r#"{"max_tokens":900,"model":"m","max_completion_tokens":null}"#,
            100,
            Some(r#"{"max_tokens":100,"model":"m","max_completion_tokens":null}"#),
        ),
        (CHAT, r#"{ "model":"m"}"#, 100, Some(r#"{"max_completion_tokens":100, "model":"m"}"#)),
        ("/v1/completions", r#"{"model":"m"}"#, 100, Some(r#"{"max_tokens":100,"model":"m"}"#)),
        (RESPONSES, r#"{"model":"m"}"#, 100, Some(r#"{"max_output_tokens":100,"model":"m"}"#)),
        (RESPONSES, r#"{"model":"m"}"#, 15, None),
        (MESSAGES, r#"{"model":"m","max_tokens":900}"#, 100, Some(r#"{"model":"m","max_tokens":100}"#)),
        (
            MESSAGES,
            r#"{"model":"m","max_tokens":900,"thinking":{"budget_tokens":99}}"#,
            100,
            Some(r#"{"model":"m","max_tokens":100,"thinking":{"budget_tokens":99}}"#),
        ),
        (MESSAGES, r#"{"model":"m","max_tokens":900,"thinking":{"budget_tokens":100}}"#, 100, None),
        (GEMINI, r#"{"contents":[]}"#, 100, Some(r#"{"generationConfig":{"maxOutputTokens":100},"contents":[]}"#)),
        (GEMINI, r#"{"generationConfig":{}}"#, 100, Some(r#"{"generationConfig":{"maxOutputTokens":100}}"#)),
        (
            GEMINI,
            r#"{"generation_config":{"topK":1}}"#,
            100,
            Some(r#"{"generation_config":{"maxOutputTokens":100,"topK":1}}"#),
        ),
        (GEMINI, r#"{"generationConfig":null}"#, 100, Some(r#"{"generationConfig":{"maxOutputTokens":100}}"#)),
        (CHAT, r#"{"model":"m"}"#, 0, None),
        ("/v1/embeddings", r#"{"model":"m","input":"x"}"#, 100, None),
    ] {
        let tokens = before.len() as u64 + 512 + left;
        assert_eq!(clamp(path, before, tokens).as_deref(), after, "{before}");
    }
    assert_eq!(clamp(CHAT, r#"{"model":"m"}"#, 10), None, "what goes in is too much");
}

#[test]
fn a_limit_of_null_is_written_only_if_no_other_field_has_it() {
    for (path, before, after) in [
        (
            CHAT,
            r#"{"model":"m","max_tokens":null,"max_completion_tokens":900}"#,
            r#"{"model":"m","max_tokens":null,"max_completion_tokens":100}"#,
        ),
        (
            CHAT,
            r#"{"model":"m","max_tokens":900,"max_completion_tokens":800}"#,
            r#"{"model":"m","max_tokens":100,"max_completion_tokens":100}"#,
        ),
        (
            CHAT,
            r#"{"model":"m","max_tokens":null,"max_completion_tokens":null}"#,
            r#"{"model":"m","max_tokens":null,"max_completion_tokens":100}"#,
        ),
        (CHAT, r#"{"model":"m","max_tokens":null}"#, r#"{"max_completion_tokens":100,"model":"m","max_tokens":null}"#),
        (
            CHAT,
            r#"{"model":"m","max_tokens":900,"max_tokens":null}"#,
            r#"{"model":"m","max_tokens":100,"max_tokens":100}"#,
        ),
        ("/v1/completions", r#"{"model":"m","max_tokens":null}"#, r#"{"model":"m","max_tokens":100}"#),
        (RESPONSES, r#"{"model":"m","max_output_tokens":null}"#, r#"{"model":"m","max_output_tokens":100}"#),
        (MESSAGES, r#"{"model":"m","max_tokens":null}"#, r#"{"model":"m","max_tokens":100}"#),
        (GEMINI, r#"{"generationConfig":{"maxOutputTokens":null}}"#, r#"{"generationConfig":{"maxOutputTokens":100}}"#),
    ] {
        let tokens = before.len() as u64 + 512 + 100;
        assert_eq!(clamp(path, before, tokens).as_deref(), Some(after), "{before}");
    }
}

#[test]
fn a_limit_is_lowered_by_money_too() {
    let text = body(r#""max_tokens":900"#);
    let price = Price::configured(Rates { output: Some(10_000), ..Rates::flat(1_000) }, UnitRates::default());
    let input = i64::try_from(text.len()).unwrap() + 512;
    let clamp = |money: i64| {
        let left = RemainingBudget { tokens: None, money: Some(NanoUsd(money)) };
        extent(CHAT, &text).clamp(Some(&price), None, left).map(|lowered| lowered.max_tokens)
    };
    for (left, expected) in [(9, None), (10, Some(1)), (1_009, Some(100)), (1_010, Some(101)), (1_000_000, Some(900))] {
        assert_eq!(clamp(input + left), expected, "{left}");
    }
    assert_eq!(clamp(input - 1), None);
    assert_eq!(
        extent(CHAT, &text).clamp(None, None, RemainingBudget { tokens: None, money: Some(NanoUsd(i64::MAX)) }),
        None
    );
}
