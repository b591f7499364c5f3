use super::*;

const DEEPSEEK: &str = "api.deepseek.com";
const MISTRAL: &str = "api.mistral.ai";

#[test]
fn output_is_a_limit_that_the_host_obeys() {
    for (host, inside, expected) in [
        (DEEPSEEK, r#""max_completion_tokens":1"#, 1_000),
        (DEEPSEEK, r#""max_tokens":1"#, 1),
        (DEEPSEEK, r#""max_tokens":7,"max_completion_tokens":900"#, 7),
        (DEEPSEEK, r#""max_tokens":7,"max_completion_tokens":"x""#, 7),
        (MISTRAL, r#""max_completion_tokens":1"#, 1_000),
        ("api.openai.com", r#""max_completion_tokens":1"#, 1),
    ] {
        let bound = extent(CHAT, &body(inside)).at_host(host).bound(Some(&flat()), LIMITS);
        assert_eq!(bound.output_tokens_max, Some(Tokens(expected)), "{host} {inside}");
    }
    let responses = extent(RESPONSES, &body(r#""max_output_tokens":7"#)).at_host(DEEPSEEK);
    assert_eq!(responses.bound(Some(&flat()), LIMITS).output_tokens_max, Some(Tokens(7)));
}

#[test]
fn a_limit_is_lowered_in_a_field_that_the_host_obeys() {
    for (before, after) in [
        (r#"{"model":"m"}"#, r#"{"max_tokens":100,"model":"m"}"#),
        (r#"{"model":"m","max_tokens":null}"#, r#"{"model":"m","max_tokens":100}"#),
        (
            r#"{"model":"m","max_completion_tokens":900}"#,
            r#"{"max_tokens":100,"model":"m","max_completion_tokens":900}"#,
        ),
        (
            r#"{"model":"m","max_tokens":900,"max_completion_tokens":800}"#,
            r#"{"model":"m","max_tokens":100,"max_completion_tokens":800}"#,
        ),
    ] {
        let left = RemainingBudget { tokens: Some(Tokens(before.len() as u64 + 512 + 100)), money: None };
        let lowered = extent(CHAT, before).at_host(DEEPSEEK).clamp(None, LIMITS, left).unwrap();
        let out = fields_of(CHAT, before).with_limit(lowered).rewrite(&Bytes::from(before), "m", false);
        assert_eq!(out.body(), after);
    }
}

#[test]
fn other_models_that_may_serve_a_call_are_known_at_their_host() {
    const OPENROUTER: &str = "openrouter.ai";
    for (path, host, inside, models) in [
        (CHAT, OPENROUTER, r#""models":["a/b","c\u002fd:online"],"n":1"#, &["a/b", "c/d:online"][..]),
        (RESPONSES, OPENROUTER, r#""models":["a/b"]"#, &["a/b"]),
        (MESSAGES, OPENROUTER, r#""models":["a/b"]"#, &["a/b"]),
        (CHAT, OPENROUTER, r#""models":null,"metadata":{"models":["a/b"]}"#, &[]),
        (CHAT, "api.openai.com", r#""models":["a/b"]"#, &[]),
    ] {
        let extent = extent(path, &body(inside)).at_host(host);
        assert_eq!(extent.models(), models, "{path} {host} {inside}");
        assert_eq!(extent.bound(Some(&flat()), LIMITS).unbounded, None);
    }
    let many = extent(CHAT, &body(&format!(r#""models":["a"{}]"#, r#","a""#.repeat(16))));
    assert_eq!(many.clone().at_host(MISTRAL).bound(Some(&flat()), LIMITS).unbounded, None);
    assert_eq!(many.at_host(OPENROUTER).bound(Some(&flat()), LIMITS).unbounded, Some(Reference::Models));
}
