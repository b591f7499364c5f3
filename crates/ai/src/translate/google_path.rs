//! The parts of a call that Google's clients write into the path and the query, and other clients into the body.

use percent_encoding::percent_decode_str;

use crate::endpoint::{Endpoint, EndpointCall};

/// The model and the stream that a path of Gemini's requests. It is empty for the paths of other formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GooglePath<'a> {
    /// The model's name as the client wrote it.
    pub model: &'a str,
    /// Whether the client requests a stream.
    pub is_streamed: bool,
    /// Whether the stream is one JSON array instead of server-sent events.
    pub is_array: bool,
}

impl<'a> GooglePath<'a> {
    /// Reads the path and the query of a call.
    #[must_use]
    pub fn from_call(called: &'a EndpointCall<'_>, query: Option<&str>) -> Self {
        let is_streamed = called.endpoint == Endpoint::StreamGenerateContent;
        let is_array = is_streamed && !requests_events(query);
        Self { model: called.model.as_deref().unwrap_or_default(), is_streamed, is_array }
    }
}

/// Whether the query of a call to Gemini requests a stream of server-sent events.
#[must_use]
pub fn requests_events(query: Option<&str>) -> bool {
    let is = |text: &str, word: &str| percent_decode_str(text).eq(word.bytes());
    let is_sse = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (is(name, "alt") || is(name, "$alt")) && is(value, "sse")
    };
    query.is_some_and(|query| query.split('&').any(is_sse))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_decides_the_form_of_a_stream() {
        for (path, query, is_streamed, is_array) in [
            ("/v1beta/models/fast:generateContent", Some("alt=sse"), false, false),
            ("/v1beta/models/fast:streamGenerateContent", Some("key=k&alt=sse"), true, false),
            ("/v1/models/fast:streamGenerateContent", Some("%24alt=s%73e"), true, false),
            ("/v1beta/models/fast:streamGenerateContent", Some("alt=json"), true, true),
            ("/v1beta/models/fast:streamGenerateContent", None, true, true),
        ] {
            let called = EndpointCall::from_path(path).unwrap();
            let expected = GooglePath { model: "fast", is_streamed, is_array };
            assert_eq!(GooglePath::from_call(&called, query), expected, "{path} {query:?}");
        }
        let chat = EndpointCall::from_path("/v1/chat/completions").unwrap();
        assert_eq!(GooglePath::from_call(&chat, Some("alt=json")), GooglePath::default());
    }
}
