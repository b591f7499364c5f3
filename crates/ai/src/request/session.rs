//! The session that a request names, so that requests of one session can use the same prompt cache.

use std::borrow::Cow;

use serde::Deserialize;

/// The fields of a body that name a session: OpenAI's and Anthropic's.
#[derive(Deserialize)]
struct SessionFields<'a> {
    #[serde(borrow, default)]
    prompt_cache_key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    metadata: Option<SessionMetadata<'a>>,
}

#[derive(Deserialize)]
struct SessionMetadata<'a> {
    #[serde(borrow, default)]
    user_id: Option<Cow<'a, str>>,
}

/// Returns the id of the session in a JSON body: OpenAI's `prompt_cache_key`, otherwise Anthropic's `metadata.user_id`.
#[must_use]
pub fn session_of(body: &[u8]) -> Option<String> {
    let SessionFields { prompt_cache_key, metadata } = serde_json::from_slice(body).ok()?;
    let named = prompt_cache_key.or_else(|| metadata?.user_id)?;
    (!named.is_empty()).then(|| named.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_name_sessions_in_two_fields() {
        for (body, expected) in [
            (r#"{"model":"m","prompt_cache_key":"a"}"#, Some("a")),
            (r#"{"metadata":{"user_id":"u\u0041"},"messages":[]}"#, Some("uA")),
            (r#"{"prompt_cache_key":"a","metadata":{"user_id":"u"}}"#, Some("a")),
            (r#"{"prompt_cache_key":""}"#, None),
            (r#"{"prompt_cache_key":1}"#, None),
            ("{}", None),
            ("no JSON", None),
        ] {
            assert_eq!(session_of(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }
}
