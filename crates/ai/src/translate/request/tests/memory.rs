//! The memory that a translation requests.

use super::*;

/// Returns the requested bytes of a translation, and its error, if `bytes_max` may be used.
fn used(from: Format, to: Format, body: &str, bytes_max: usize) -> (usize, Option<String>) {
    let mut used = 0;
    let model = if to == Format::Messages { "claude-sonnet-4-6" } else { "m" };
    let result = super::super::translate(from, to, body.as_bytes(), &options(model), &mut |more| {
        let fits = used + more <= bytes_max;
        used += if fits { more } else { 0 };
        fits
    });
    (used, result.err().map(|error| error.param))
}

/// Returns a call with about a million bytes in messages, all of which are `message`.
fn call(from: Format, message: &str) -> String {
    let fields = [(Format::Responses, "input"), (Format::GenerateContent, "contents")];
    let field = fields.iter().find(|(format, _)| *format == from).map_or("messages", |(_, field)| *field);
    let messages = vec![message; 1_000_000 / (message.len() + 1)].join(",");
    format!(r#"{{"model":"m","max_tokens":1,"{field}":[{messages}]}}"#)
}

fn pairs() -> impl Iterator<Item = (Format, Format)> {
    let to_others = |from| TRANSLATED.into_iter().filter(move |to| *to != from).map(move |to| (from, to));
    TRANSLATED.into_iter().flat_map(to_others)
}

#[test]
fn a_call_in_messages_of_30_bytes_uses_less_than_four_times_its_size() {
    for (from, to) in pairs() {
        let is_google = from == Format::GenerateContent;
        let message = if is_google { r#"{"parts":{"text":"hello wor"}}"# } else { r#"{"role":"user","content":"hi"}"# };
        let body = call(from, message);
        let (used, error) = used(from, to, &body, usize::MAX);
        assert!(error.is_none(), "{from:?} {to:?} {error:?}");
        assert!((body.len()..body.len() * 4).contains(&used), "{from:?} {to:?}: {used} of {}", body.len());
    }
}

#[test]
fn a_call_without_room_is_refused_before_it_is_built() {
    let parts = |part: &str| format!(r#"{{"role":"user","content":[{}]}}"#, vec![part; 20_000].join(","));
    for (from, to) in pairs() {
        let many = if from == Format::GenerateContent {
            format!(r#"{{"parts":[{}]}}"#, vec![r#"{"text":"a"}"#; 20_000].join(","))
        } else {
            parts(r#"{"type":"text","text":"a"}"#)
        };
        for message in [many.as_str(), &many.replace(r#""a""#, r#""\u0061""#)] {
            let (used, error) = used(from, to, &call(from, message), 200_000);
            assert_eq!(error.as_deref(), Some("body"), "{from:?} {to:?}");
            assert!(used <= 200_000);
        }
    }
}

#[test]
fn a_small_call_requests_no_memory_and_elements_of_another_kind_none_either() {
    for (from, to) in pairs() {
        let message = r#"{"role":"user","content":"hi","parts":[]}"#;
        let body = call(from, message).replace(&format!("{message},"), "");
        assert_eq!(used(from, to, &body, 0).0, 0, "{from:?} {to:?}");
        for element in ["1", "[]", "[[],[]]", "12345678901234567890", "\"\""] {
            let (used, error) = used(from, to, &call(from, element), 100_000);
            assert!(error.is_some_and(|param| param != "body"), "{from:?} {to:?} {element}");
            assert!(used <= 64 * 1024, "{used}");
        }
    }
}
