//! Paths of LLM endpoints, and the upstream targets of their calls.

use ai::Endpoint;
use ai::endpoint::{EndpointCall, EndpointMatch};
use http::uri::PathAndQuery;

/// The value of [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &[
    "/",
    "//",
    "..",
    "%2F",
    "%2e%2e",
    "%",
    "%00",
    "é",
    "?",
    "?key=a&b=c",
    "&api-version=1",
    "%6bey=a",
    "/v1/",
    "/v1beta/",
    "models/",
    "models",
    "chat/completions",
    "messages/count_tokens",
    "/openai/deployments/",
    "/openai/v1/",
    ":generateContent",
    ":streamGenerateContent",
    ":countTokens",
    ":",
    "gpt-5",
    "embeddings",
    "images/generations",
    "audio/speech",
    "GET ",
    "POST ",
    "\n",
];

/// The input consists of lines `METHOD PATH[?QUERY]`.
pub fn endpoint(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for request in text.lines().take(50) {
        let (method, path) = request.split_once(' ').unwrap_or(("POST", request));
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        called(method, path, query);
    }
}

/// An upstream reads the target as the same endpoint and model. The target never leaves the folder of the API.
fn called(method: &str, path: &str, query: Option<&str>) {
    let called = match Endpoint::find(method, path) {
        EndpointMatch::Endpoint(called) => called,
        EndpointMatch::WrongMethod { called, allow } => {
            assert!(allow.split(", ").all(|allowed| allowed != method));
            called
        }
        EndpointMatch::None => return,
    };
    let model = called.model.as_deref().unwrap_or("gpt-5");
    // hyper does not forward fragments.
    let sendable =
        query.is_none_or(|query| !query.contains('#') && PathAndQuery::try_from(format!("/?{query}").as_str()).is_ok());
    // Tollgate itself responds to lists of models and to endpoints without a format.
    if called.is_verbatim() || called.endpoint.format().is_none() || !sendable {
        return;
    }
    let target = called.target(model, query);
    let read = PathAndQuery::try_from(target.as_str());
    assert!(read.is_ok(), "{path:?} leads to {target:?}, which is no request target");
    let sent = read.unwrap();
    let dots = |part: &str| matches!(part.replace("%2e", ".").replace("%2E", ".").as_str(), "." | "..");
    assert!(!sent.path().split('/').any(dots), "{path:?} leads to {target:?}, which leaves its folder");
    let again = EndpointCall::from_path(sent.path());
    assert_eq!(again.as_ref().map(|again| again.endpoint), Some(called.endpoint), "{path:?} leads to {target:?}");
    if let Some(again) = again.and_then(|again| again.model) {
        assert_eq!(again, model, "{path:?} leads to {target:?}");
    }
    let names = |query: Option<&str>| query.map_or(0, |query| query.split('&').count());
    assert!(names(sent.query()) <= names(query), "{target:?}");
}
