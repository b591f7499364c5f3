use access::{NanoUsd, Tokens};
use bytes::Bytes;
use proptest::prelude::*;

use super::tests::{DAY, extent, limits};
use super::*;
use crate::RequestFields;
use crate::price::Prices;

/// Fields of bodies, most of which determine a bound.
const FIELDS: &[&str] = &[
    r#""messages":[{"role":"user","content":"hello"}]"#,
    r#""messages":[{"role":"user","content":[{"type":"text","text":"hello"}]}]"#,
    r#""messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]"#,
    r#""messages":[{"content":[{"type":"image_url","image_url":{"url":"https://x"}}]}]"#,
    r#""messages":[{"content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]"#,
    r#""messages":[{"content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,AAAA"}}]}]"#,
    r#""enable_search":true"#,
    r#""input":[{"type":"item_reference","id":"x"}]"#,
    r#""input":"hello""#,
    r#""contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}]"#,
    r#""tools":[{"type":"function","function":{"name":"f","parameters":{"file_id":{"type":"string"}}}}]"#,
    r#""tools":[{"type":"web_search_20250305","name":"web_search","max_uses":3}]"#,
    r#""tools":[{"googleSearch":{}}]"#,
    r#""service_tier":"flex""#,
    r#""service_tier":"priority""#,
    r#""speed":"fast""#,
    r#""inference_geo":"us""#,
    r#""system":[{"type":"text","text":"x","cache_control":{"type":"ephemeral","ttl":"1h"}}]"#,
    r#""previous_response_id":"x""#,
    r#""generationConfig":{"temperature":1}"#,
    r#""prediction":{"type":"content","content":"x"}"#,
];

const PATHS: &[&str] = &["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"];

const MODELS: &[&str] =
    &["openai/gpt-5.4", "openai/gpt-6.1-sol", "anthropic/claude-opus-5", "gemini/gemini-2.5-pro", "mock/any"];

fn limit_key(path: &str) -> &'static str {
    match path {
        "/v1/responses" => "max_output_tokens",
        "/v1/chat/completions" => "max_completion_tokens",
        _ => "max_tokens",
    }
}

fn body(fields: &[&str], more: &str) -> String {
    format!(
        r#"{{"model":"m",{}{}{more}}}"#,
        fields.join(","),
        if fields.is_empty() || more.is_empty() { "" } else { "," }
    )
}

proptest! {
    #[test]
    fn a_bound_grows_with_the_limit_and_the_number_of_answers(
        path in prop::sample::select(PATHS),
        model in prop::sample::select(MODELS),
        fields in prop::collection::vec(prop::sample::select(FIELDS), 0..5),
        low in 0_u64..1_000_000,
        more in 0_u64..1_000_000,
        n in 1_u64..64,
        another in 0_u64..64,
    ) {
        let (provider, name) = model.split_once('/').unwrap();
        let prices = Prices::builtin();
        let price = prices.find(provider, [name], DAY).unwrap();
        let bound = |max: u64, n: u64| {
            let body = body(&fields, &format!(r#""{}":{max},"n":{n}"#, limit_key(path)));
            extent(path, &body).bound(Some(price), limits(provider, name))
        };
        let least = bound(low, n);
        let wide = bound(low + more, n + another);
        for (less, most) in [(least, bound(low + more, n)), (least, bound(low, n + another)), (least, wide)] {
            // One more digit of the number adds a byte of text, and never removes one.
            prop_assert!(less.tokens <= most.tokens, "{less:?} {most:?}");
            prop_assert!(less.money <= most.money, "{less:?} {most:?}");
            prop_assert!(less.output_tokens_max <= most.output_tokens_max, "{less:?} {most:?}");
        }
    }

    #[test]
    fn a_longer_body_has_no_lower_bound(
        path in prop::sample::select(PATHS),
        model in prop::sample::select(MODELS),
        fields in prop::collection::vec(prop::sample::select(FIELDS), 0..5),
        words in 0_usize..2_000,
    ) {
        let (provider, name) = model.split_once('/').unwrap();
        let prices = Prices::builtin();
        let price = prices.find(provider, [name], DAY);
        let bound = |words: usize| {
            let body = body(&fields, &format!(r#""user":"{}""#, "word ".repeat(words)));
            extent(path, &body).bound(price, limits(provider, name))
        };
        let short = bound(0);
        let long = bound(words);
        prop_assert!(short.tokens <= long.tokens && short.money <= long.money);
    }

    #[test]
    fn a_clamped_body_fits_the_remaining_amount_exactly(
        path in prop::sample::select(PATHS),
        model in prop::sample::select(MODELS),
        fields in prop::collection::vec(prop::sample::select(FIELDS), 0..4),
        fields_of in prop::option::of(1_u64..200_000),
        tokens in prop::option::of(0_u64..3_000_000),
        money in prop::option::of(0_i64..20_000_000_000),
    ) {
        let (provider, name) = model.split_once('/').unwrap();
        let prices = Prices::builtin();
        let price = prices.find(provider, [name], DAY).unwrap();
        let limits = limits(provider, name);
        let more = fields_of.map_or(String::new(), |max| format!(r#""{}":{max}"#, limit_key(path)));
        let text = body(&fields, &if more.is_empty() { r#""user":"u""#.to_owned() } else { more });
        let read = extent(path, &text);
        let before = read.bound(Some(price), limits);
        let left = RemainingBudget { tokens: tokens.map(Tokens), money: money.map(NanoUsd) };
        let Some(lowered) = read.clamp(Some(price), limits, left) else { return Ok(()) };
        let each = lowered.max_tokens;
        let fits = |bound: Bound| {
            tokens.is_none_or(|left| bound.tokens.unwrap() <= Tokens(left))
                && money.is_none_or(|left| bound.money.unwrap().0 <= left)
        };
        let after = read.limited(each).bound(Some(price), limits);
        prop_assert!(fits(after), "{after:?} of {left:?}");
        prop_assert!(after.output_tokens_max <= before.output_tokens_max);
        let is_whole = after.output_tokens_max == before.output_tokens_max;
        prop_assert!(is_whole || !fits(read.limited(each + 1).bound(Some(price), limits)), "{each} is not the highest");
        let fields_of = super::tests::fields_of(path, &text).with_limit(lowered);
        let rewritten = fields_of.rewrite(&Bytes::from(text.clone()), "m", false).body();
        let rewritten = std::str::from_utf8(&rewritten).unwrap();
        serde_json::from_str::<serde::de::IgnoredAny>(rewritten).unwrap();
        let again = extent(path, rewritten).bound(Some(price), limits);
        // For a predicted output, the inserted figure counts as a part of the text.
        let is_same = again.output_tokens_max == after.output_tokens_max || text.contains("prediction");
        prop_assert!(is_same, "{}", rewritten);
    }

    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for path in PATHS {
            let (_, called) = super::tests::called(path);
            for body in [bytes.clone(), [b"{", &bytes[..]].concat()] {
                let read = Extent::read(&called, &RequestFields::default(), &body);
                prop_assert!(read.bound(None, limits("mock", "m")).tokens.is_some());
            }
        }
    }
}
