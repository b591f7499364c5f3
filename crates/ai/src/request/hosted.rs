//! Calls of Messages at a host that names the model in its path: the body has the version of the API, and no model.

use std::ops::Range;

use super::{MODEL, RequestFields, STREAM};
use crate::scan::raw_fields::{RawField, RawFields};

const VERSION: &str = "anthropic_version";
const BETAS: &str = "anthropic_beta";
/// Maximum number of names of features that are sent.
const BETAS_MAX: usize = 32;

/// The body of Messages at a host that is not Anthropic's own.
#[derive(Debug, Clone, Copy)]
pub struct HostedMessages {
    /// The value of `anthropic_version`.
    pub version: &'static str,
    /// Whether the body has `stream`; elsewhere the path says whether the response is a stream.
    pub has_stream: bool,
    /// Returns the host's name of a feature of `anthropic-beta`, which the body then lists; `None` if the host refuses it.
    pub beta: fn(&str) -> Option<&str>,
}

/// A field of the body.
struct Member {
    /// From its name to the end of its value.
    at: Range<usize>,
    is_removed: bool,
}

impl HostedMessages {
    fn removes(&self, name: &str) -> bool {
        matches!(name, MODEL | VERSION) || name == STREAM && !self.has_stream
    }
}

impl RequestFields {
    /// Replaces the edits of the model's name: `body`, which was read, becomes that of `hosted`. `betas` is the value of the
    /// client's `anthropic-beta`, or nothing; a list in the body replaces it.
    #[must_use]
    pub fn hosted(mut self, body: &[u8], hosted: &HostedMessages, betas: &str) -> Self {
        let Ok(text) = std::str::from_utf8(body) else { return self };
        // The body was read as an object before.
        let Some(RawFields(fields)) = RawFields::of_bytes(body) else { return self };
        let member =
            |field: &RawField<'_>| Member { at: field.position(text), is_removed: hosted.removes(&field.name) };
        let list: Vec<Member> = fields.iter().map(member).collect();
        let has_betas = fields.iter().any(|field| field.name == BETAS);
        self.models.clear();
        self.hosted_edits = removals(&list);
        let mut added = format!("\"{VERSION}\":\"{}\"", hosted.version);
        let betas = betas.split(',').filter_map(|beta| (hosted.beta)(beta.trim()));
        let mut sent: Vec<&str> = Vec::new();
        if !has_betas {
            for beta in betas.take(BETAS_MAX) {
                if !sent.contains(&beta) {
                    sent.push(beta);
                }
            }
        }
        if !sent.is_empty() {
            // Serializing texts cannot fail.
            let list = serde_json::to_string(&sent).unwrap_or_default();
            added.push_str(&format!(",\"{BETAS}\":{list}"));
        }
        if list.iter().any(|member| !member.is_removed) {
            added.push(',');
        }
        let open = super::json::inside(text, 0);
        self.hosted_edits.push((open..open, added));
        self
    }
}

/// Returns the edits that remove fields with their commas.
fn removals(list: &[Member]) -> Vec<(Range<usize>, String)> {
    let Some(last) = list.last() else { return Vec::new() };
    let kept_until = list.iter().rposition(|member| !member.is_removed);
    let mut edits = Vec::new();
    for (number, pair) in list.windows(2).enumerate() {
        if let [member, next] = pair
            && member.is_removed
            && kept_until.is_some_and(|kept| number < kept)
        {
            edits.push((member.at.start..next.at.start, String::new()));
        }
    }
    // Those behind the last field that remains are removed with the comma before them.
    let from = match kept_until.and_then(|kept| list.get(kept)) {
        Some(kept) => kept.at.end,
        None => list.first().map_or(last.at.start, |first| first.at.start),
    };
    if from < last.at.end {
        edits.push((from..last.at.end, String::new()));
    }
    edits
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::endpoint::EndpointCall;

    const HOSTED: HostedMessages = HostedMessages { version: "v", has_stream: false, beta: known };

    fn known(beta: &str) -> Option<&str> {
        match beta {
            "renamed" => Some("other"),
            "known" | "other" => Some(beta),
            _ => None,
        }
    }

    fn sent(body: &str, hosted: &HostedMessages, betas: &str) -> String {
        let body = Bytes::from(body.to_owned());
        let called = EndpointCall::from_path("/v1/messages").unwrap();
        let fields = crate::request::read(&called, None, &body).unwrap().hosted(&body, hosted, betas);
        String::from_utf8(fields.rewrite(&body, "other-model", true).body().to_vec()).unwrap()
    }

    #[test]
    fn the_model_is_replaced_by_the_version_wherever_it_is() {
        for (body, expected) in [
            (r#"{"model":"m","messages":[1e400]}"#, r#"{"anthropic_version":"v","messages":[1e400]}"#),
            (r#"{"messages":[],"model":"m"}"#, r#"{"anthropic_version":"v","messages":[]}"#),
            (
                r#" { "a" : 1 , "model" : "m" , "b" : "model" }"#,
                r#" {"anthropic_version":"v", "a" : 1 , "b" : "model" }"#,
            ),
            (r#"{"model":"m","stream":true,"a":{}}"#, r#"{"anthropic_version":"v","a":{}}"#),
            (r#"{"a":{},"stream":true,"model":"m"}"#, r#"{"anthropic_version":"v","a":{}}"#),
            (r#"{"stream":true,"a":1,"model":"m"}"#, r#"{"anthropic_version":"v","a":1}"#),
            (
                r#"{"a":1,"anthropic_version":"x","b":2,"model":"m","stream":false }"#,
                r#"{"anthropic_version":"v","a":1,"b":2 }"#,
            ),
            (r#"{"model":"m"}"#, r#"{"anthropic_version":"v"}"#),
            (r#"{"model":"m", "stream":true}"#, r#"{"anthropic_version":"v"}"#),
            (r#"{"m\u006fdel":"m","a":"{\"model\":1}"}"#, r#"{"anthropic_version":"v","a":"{\"model\":1}"}"#),
        ] {
            assert_eq!(sent(body, &HOSTED, ""), expected, "{body}");
            assert!(serde_json::from_str::<serde_json::Value>(expected).is_ok() || expected.contains("1e400"));
        }
        let streamed = HostedMessages { has_stream: true, ..HOSTED };
        assert_eq!(sent(r#"{"model":"m","stream":true}"#, &streamed, ""), r#"{"anthropic_version":"v","stream":true}"#);
    }

    #[test]
    fn features_that_the_host_has_are_listed_once_unless_the_body_lists_them() {
        for (betas, expected) in
            [("known, unknown,renamed , other", r#","anthropic_beta":["known","other"]"#), ("unknown", ""), ("", "")]
        {
            let expected = format!(r#"{{"anthropic_version":"v"{expected},"a":1}}"#);
            assert_eq!(sent(r#"{"model":"m","a":1}"#, &HOSTED, betas), expected, "{betas:?}");
        }
        let own = r#"{"model":"m","anthropic_beta":["mine"]}"#;
        assert_eq!(sent(own, &HOSTED, "known"), r#"{"anthropic_version":"v","anthropic_beta":["mine"]}"#);
    }

    proptest! {
        #[test]
        fn other_fields_are_unchanged_in_any_order(
            names in Just(["model", "stream", "anthropic_version", "a", "b"]).prop_shuffle(),
            len in 1_usize..=5,
            space in "[ \\n]{0,2}",
        ) {
            let value = |name: &str| if name == "stream" { "true".to_owned() } else { format!("\"{name}\"") };
            let names: Vec<&str> = names.into_iter().take(len).collect();
            let others: Vec<&str> = names.iter().filter(|name| name.len() == 1).copied().collect();
            let member = |name: &&str| format!("{space}\"{name}\"{space}:{space}{}{space}", value(name));
            let mut members: Vec<String> = names.iter().map(member).collect();
            if !names.contains(&"model") {
                members.push(member(&"model"));
            }
            let body = format!("{{{}}}", members.join(","));
            let written: serde_json::Value = serde_json::from_str(&sent(&body, &HOSTED, "")).unwrap();
            let mut expected = serde_json::Map::from_iter([("anthropic_version".to_owned(), "v".into())]);
            expected.extend(others.into_iter().map(|name| (name.to_owned(), name.into())));
            prop_assert_eq!(written, serde_json::Value::from(expected), "{}", body);
        }
    }

    #[test]
    fn a_lowered_limit_is_written_too() {
        let body = Bytes::from_static(br#"{"model":"m","max_tokens":90,"messages":[]}"#);
        let fields = crate::request::read(&EndpointCall::from_path("/v1/messages").unwrap(), None, &body).unwrap();
        let limit = super::super::LoweredLimit { max_tokens: 5, edits: vec![(26..28, "5".to_owned())] };
        let sent = fields.with_limit(limit).hosted(&body, &HOSTED, "").rewrite(&body, "o", true).body();
        assert_eq!(sent, &br#"{"anthropic_version":"v","max_tokens":5,"messages":[]}"#[..]);
    }
}
