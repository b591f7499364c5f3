//! Paths of Gemini and Azure that contain a model's name. The name stays one path segment and cannot leave the
//! provider's path. A key in the query, as Google's clients send it, authenticates here too and reaches no provider.

use super::{Row, answered, read, refused};

pub(super) const ROWS: &[Row] = &[
    read("model_in_the_path", "3986, 3.3", b"POST /v1beta/models/m:generateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}", &["POST /v1beta/models/m:generateContent | {}"]).with(&["x-goog-api-key: sk-upstream-credential"]),
    read("question_mark_in_the_model", "3986, 2.2", b"POST /v1beta/models/m%3fkey=x:generateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}", &["POST /v1beta/models/m%3Fkey%3Dx:generateContent | {}"]).with(&["x-goog-api-key: sk-upstream-credential"]),
    read("fragment_in_the_model", "3986, 2.2", b"POST /v1beta/models/m%23x:generateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}", &["POST /v1beta/models/m%23x:generateContent | {}"]).with(&["x-goog-api-key: sk-upstream-credential"]),
    read("line_ends_in_the_model", "3986, 2.1", b"POST /v1beta/models/m%0d%0ax:generateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}", &["POST /v1beta/models/m%0D%0Ax:generateContent | {}"]).with(&["x-goog-api-key: sk-upstream-credential"]),
    read("request_in_the_model", "9112, 11.1", b"POST /v1beta/models/m%20HTTP%2f1.1%0d%0a%0d%0aGET%20:generateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}", &["POST /v1beta/models/m%20HTTP/1.1%0D%0A%0D%0AGET%20:generateContent | {}"]).with(&["x-goog-api-key: sk-upstream-credential"]),
    answered("dot_segments_encoded_twice_in_the_model", "3986, 2.4", b"POST /v1beta/models/%252e%252e%252fm:generateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}", "bad_request"),
    read("verb_in_the_model", "3986, 3.3", b"POST /v1beta/models/m:countTokens:generateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}", &["POST /v1beta/models/m%3AcountTokens:generateContent | {}"]).with(&["x-goog-api-key: sk-upstream-credential"]),
    refused("dot_segments_in_the_model", "3986, 5.2.4", b"POST /v1beta/models/../m:generateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}"),
    refused("dot_segments_in_percent_in_the_model", "3986, 5.2.4", b"POST /v1beta/models/..%2f..%2fo:generateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}"),
    refused("dot_segments_with_backslashes_in_the_model", "3986, 5.2.4", b"POST /v1beta/models/m%5c..%5co:generateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}"),
    refused("nul_in_the_model", "3986, 7.3", b"POST /v1beta/models/m%00:generateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}"),
    refused("dot_segments_as_a_deployment", "3986, 5.2.4", b"POST /openai/deployments/%2e%2e/chat/completions HTTP/1.1\r\nhost: x\r\napi-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}"),
    answered("no_model", "3986, 3.3", b"POST /v1beta/models/:generateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}", "route_not_found"),
    answered("model_that_is_no_text", "3629, 3", b"POST /v1beta/models/%ff%fe:generateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}", "route_not_found"),
    answered("verb_in_other_case", "3986, 6.2.2.1", b"POST /v1beta/models/m:GenerateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}", "method_not_allowed"),
    read("key_in_header_and_query", "9110, 17.9", b"POST /v1beta/models/m:generateContent?key=<<KEY>>&alt=sse HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}", &["POST /v1beta/models/m:generateContent?alt=sse | {}"]).with(&["x-goog-api-key: sk-upstream-credential"]),
    read("keys_in_the_query", "9110, 17.9", b"POST /v1beta/models/m:generateContent?key=<<KEY>>&key=<<KEY>>&alt=sse&key HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}", &["POST /v1beta/models/m:generateContent?alt=sse | {}"]).with(&["x-goog-api-key: sk-upstream-credential"]),
    read("key_in_the_query_alone", "9110, 17.9", b"POST /v1beta/models/m:generateContent?key=<<KEY>> HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}", &["POST /v1beta/models/m:generateContent | {}"]).with(&["x-goog-api-key: sk-upstream-credential"]),
    answered("other_key_in_the_query", "9110, 17.9", b"POST /v1beta/models/m:generateContent?key=other HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}", "ambiguous_credentials"),
    read("key_in_the_query_in_percent", "3986, 6.2.2.2", b"POST /v1beta/models/m:generateContent?k%65y=<<KEY>>&alt=sse HTTP/1.1\r\nhost: x\r\nx-goog-api-key: <<KEY>>\r\ncontent-length: 2\r\n\r\n{}", &["POST /v1beta/models/m:generateContent?alt=sse | {}"]).with(&["x-goog-api-key: sk-upstream-credential"]),
];
