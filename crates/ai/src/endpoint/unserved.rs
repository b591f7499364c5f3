//! Paths of LLM APIs that Tollgate does not serve: the API of each, so that its client can read the error, and advice.

use super::{Endpoint, EndpointCall};
use crate::format::Dialect;

/// The shape in which the client of a path reads errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The shape of this dialect.
    Of(Dialect),
    /// OpenAI and Anthropic share the path; headers decide.
    Shared,
    /// The shape that Amazon Bedrock's clients read.
    Bedrock,
}

/// A path of an LLM API that is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnservedPath {
    /// The shape in which its client reads errors.
    pub shape: Shape,
    /// The message for the client: the API that is not served, or the path of the endpoint.
    pub message: String,
}

/// First segments of OpenAI's paths below `/v1/` and `/openai/`, with the API of each. Longer segments come first.
const OPENAI: [(&str, &str); 21] = [
    ("responses", "stored responses are"),
    ("chat/completions", "stored chat completions are"),
    ("conversations", "the Conversations API is"),
    ("assistants", "the Assistants API is"),
    ("threads", "the Assistants API is"),
    ("vector_stores", "the Vector Stores API is"),
    ("uploads", "the Uploads API is"),
    ("batches", "the Batch API is"),
    ("fine_tuning", "the Fine-tuning API is"),
    ("realtime", "the Realtime API is"),
    ("videos", "the Videos API is"),
    ("containers", "the Containers API is"),
    ("evals", "the Evals API is"),
    ("images", "this call of the Images API is"),
    ("audio", "this call of the Audio API is"),
    ("embeddings", "this call of the Embeddings API is"),
    ("moderations", "this call of the Moderations API is"),
    ("completions", "this call of the Completions API is"),
    ("organization", "the Administration API is"),
    ("rerank", "reranking is"),
    ("deployments", "this call of Azure's deployments is"),
];

/// First segments of Anthropic's paths.
const ANTHROPIC: [(&str, &str); 4] = [
    ("messages/batches", "the Message Batches API is"),
    ("messages", "this call of the Messages API is"),
    ("complete", "the Text Completions API is"),
    ("skills", "the Skills API is"),
];

/// First segments that both providers share.
const SHARED: [(&str, &str); 2] = [("files", "the Files API is"), ("models", "this call of the Models API is")];

/// First segments of Gemini's paths, below `/v1beta/`.
const GEMINI: [(&str, &str); 8] = [
    ("files", "the Files API is"),
    ("cachedContents", "context caching is"),
    ("batches", "the Batch API is"),
    ("tunedModels", "tuned models are"),
    ("corpora", "the Semantic Retrieval API is"),
    ("fileSearchStores", "the File Search API is"),
    ("interactions", "the Interactions API is"),
    ("models", "this call of the Models API is"),
];

/// Operations of Bedrock's runtime, after `/model/{id}/`.
const BEDROCK: [&str; 5] =
    ["invoke", "invoke-with-response-stream", "converse", "converse-stream", "invoke-with-bidirectional-stream"];

/// Longest part of a path that a message repeats, in bytes.
const PATH_BYTES_MAX: usize = 200;

/// Describes a path that is not an endpoint, after `prefix` and without its query; `None` if it belongs to no LLM API.
/// If the path would be an endpoint with another base URL, the message names that endpoint.
#[must_use]
pub fn unserved(prefix: &str, path: &str) -> Option<UnservedPath> {
    if let Some((meant, shape)) = meant(path) {
        return Some(misdirected(prefix, path, &meant, shape));
    }
    let (shape, what) = family(path)?;
    Some(UnservedPath { shape, message: format!("{what} not served by this gateway: {:?}", shown(path)) })
}

/// Describes an endpoint's path outside `prefix`, below which the endpoints are served.
#[must_use]
pub fn unprefixed(prefix: &str, path: &str) -> Option<UnservedPath> {
    is_endpoint(path).then(|| misdirected(prefix, path, path, shape(path)))
}

/// Returns the error for a client with a wrong base URL.
fn misdirected(prefix: &str, path: &str, meant: &str, shape: Shape) -> UnservedPath {
    let other = if prefix.is_empty() { "without a path".to_owned() } else { format!("that ends in {prefix}") };
    let message = format!(
        "the path {:?} is not served: the endpoint is {prefix}{}. Check the base URL: OpenAI's clients need one that ends \
         in {prefix}/v1, those of Anthropic, Google and Azure one {other}",
        shown(path),
        shown(meant)
    );
    UnservedPath { shape, message }
}

fn shape(endpoint_path: &str) -> Shape {
    EndpointCall::from_path(endpoint_path).and_then(|called| called.dialect).map_or(Shape::Shared, Shape::Of)
}

/// Returns the part of a path that a message repeats.
fn shown(path: &str) -> &str {
    path.get(..path.floor_char_boundary(PATH_BYTES_MAX)).unwrap_or_default()
}

/// Whether these parts of one of Google's paths can be a model's name with slashes: paths of other APIs begin
/// differently.
pub(super) fn is_model(rest: &str) -> bool {
    let first = rest.split('/').next().unwrap_or_default();
    !is_vertex(rest) && !matches!(first, "v1" | "v1beta" | "v1alpha" | "v1beta1" | "openai" | "tunedModels")
}

/// Whether these parts of a path begin one of Vertex AI's.
fn is_vertex(rest: &str) -> bool {
    rest.starts_with("projects/") || rest.starts_with("publishers/")
}

/// Returns the endpoint that a client with a correct base URL would have called.
fn meant(path: &str) -> Option<(String, Shape)> {
    let single = single_slashes(path);
    let trimmed = single.trim_end_matches('/');
    let below = ["/v1/", "/v1beta/", "/openai/"].into_iter().filter_map(|version| {
        let at = trimmed.rfind(version).filter(|at| *at > 0)?;
        trimmed.get(at..).map(str::to_owned)
    });
    let candidates =
        [trimmed.to_owned(), format!("/v1{trimmed}"), format!("/v1beta{trimmed}")].into_iter().chain(below);
    let found = candidates.filter(|candidate| candidate != path).find(|candidate| is_endpoint(candidate))?;
    let shape = shape(&found);
    Some((found, shape))
}

/// Whether this is the path of an endpoint with a body or of the list of models. `/v1/models/{model}` matches nearly
/// any path.
fn is_endpoint(path: &str) -> bool {
    let Some(called) = EndpointCall::from_path(path) else { return false };
    called.endpoint.format().is_some() || called.endpoint == Endpoint::Models
}

fn single_slashes(path: &str) -> String {
    let mut single = String::with_capacity(path.len());
    for char in path.chars() {
        if char != '/' || !single.ends_with('/') {
            single.push(char);
        }
    }
    single
}

/// Returns the error shape of a path, and the name of its API.
fn family(path: &str) -> Option<(Shape, &'static str)> {
    const OF_OPENAI: Shape = Shape::Of(Dialect::OpenAi);
    const OF_GOOGLE: Shape = Shape::Of(Dialect::Google);
    if let Some((_, operation)) = path.strip_prefix("/model/").and_then(|rest| rest.rsplit_once('/'))
        && BEDROCK.contains(&operation)
    {
        return Some((Shape::Bedrock, "Amazon Bedrock's API is"));
    }
    if let Some(rest) = path.strip_prefix("/openai/") {
        return Some((
            OF_OPENAI,
            find_api(&OPENAI, rest.strip_prefix("v1/").unwrap_or(rest)).unwrap_or("this path is"),
        ));
    }
    let (version, rest) = path.strip_prefix('/')?.split_once('/')?;
    let is_google = matches!(version, "v1beta" | "v1alpha" | "v1beta1");
    if is_vertex(rest) && (is_google || version == "v1") {
        return Some((OF_GOOGLE, "Vertex AI's API is"));
    }
    match version {
        "v1beta" if rest.starts_with("openai/") => Some((OF_OPENAI, "Gemini's API in OpenAI's format is")),
        "v1beta" | "v1alpha" => Some((OF_GOOGLE, find_api(&GEMINI, rest).unwrap_or("this path is"))),
        "upload" if rest.starts_with("v1beta/") => Some((OF_GOOGLE, "the Files API is")),
        "v1" => {
            let anthropic = find_api(&ANTHROPIC, rest).map(|what| (Shape::Of(Dialect::Anthropic), what));
            let shared = find_api(&SHARED, rest).map(|what| (Shape::Shared, what));
            anthropic.or(shared).or_else(|| find_api(&OPENAI, rest).map(|what| (OF_OPENAI, what)))
        }
        "v2" if is_below(rest, "rerank") => Some((OF_OPENAI, "reranking is")),
        _ => None,
    }
}

fn find_api(table: &[(&'static str, &'static str)], rest: &str) -> Option<&'static str> {
    table.iter().find(|(first, _)| is_below(rest, first)).map(|(_, what)| *what)
}

/// Whether `rest` is `first`, or a path below it. Gemini's operations follow a colon.
fn is_below(rest: &str, first: &str) -> bool {
    rest.strip_prefix(first).is_some_and(|behind| behind.is_empty() || behind.starts_with(['/', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_of_endpoints_are_distinguished() {
        use Dialect::{Anthropic, Google, OpenAi};
        for (path, shape, word) in [
            ("/v1/files", Shape::Shared, "Files"),
            ("/v1/files/file-1/content", Shape::Shared, "Files"),
            ("/v1/batches", Shape::Of(OpenAi), "Batch"),
            ("/v1/rerank", Shape::Of(OpenAi), "reranking"),
            ("/v2/rerank", Shape::Of(OpenAi), "reranking"),
            ("/v1/realtime/client_secrets", Shape::Of(OpenAi), "Realtime"),
            ("/v1/conversations/c/items", Shape::Of(OpenAi), "Conversations"),
            ("/v1/assistants", Shape::Of(OpenAi), "Assistants"),
            ("/v1/threads/t/runs", Shape::Of(OpenAi), "Assistants"),
            ("/v1/vector_stores", Shape::Of(OpenAi), "Vector"),
            ("/v1/videos/v", Shape::Of(OpenAi), "Videos"),
            ("/v1/responses/resp_1", Shape::Of(OpenAi), "stored responses"),
            ("/v1/images/variations", Shape::Of(OpenAi), "Images"),
            ("/openai/files", Shape::Of(OpenAi), "not served"),
            ("/openai/v1/vector_stores", Shape::Of(OpenAi), "Vector"),
            ("/openai/deployments/d/x", Shape::Of(OpenAi), "deployments"),
            ("/v1/messages/batches", Shape::Of(Anthropic), "Batches"),
            ("/v1/complete", Shape::Of(Anthropic), "Text Completions"),
            ("/v1beta/files", Shape::Of(Google), "Files"),
            ("/upload/v1beta/files", Shape::Of(Google), "Files"),
            ("/v1beta/cachedContents", Shape::Of(Google), "caching"),
            ("/v1beta/tunedModels/t:generateContent", Shape::Of(Google), "tuned models"),
            ("/v1beta/models/imagen:predict", Shape::Of(Google), "not served"),
            ("/v1/projects/p/locations/l/publishers/google/models/m:generateContent", Shape::Of(Google), "Vertex"),
            ("/v1beta1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict", Shape::Of(Google), "Vertex"),
            ("/model/anthropic.claude/invoke", Shape::Bedrock, "Bedrock"),
            ("/model/arn%3Aaws/converse-stream", Shape::Bedrock, "Bedrock"),
        ] {
            // Some are an endpoint of another method: the router never calls this function for them.
            let found = unserved("", path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(found.shape, shape, "{path}");
            assert!(found.message.contains(word), "{path}: {}", found.message);
            assert!(found.message.contains("not served"), "{path}: {}", found.message);
        }
    }

    #[test]
    fn a_wrong_base_url_is_answered_with_the_right_endpoint() {
        use Dialect::{Anthropic, Google, OpenAi};
        for (path, meant, shape) in [
            ("/chat/completions", "/v1/chat/completions", Shape::Of(OpenAi)),
            ("/responses", "/v1/responses", Shape::Of(OpenAi)),
            ("/embeddings", "/v1/embeddings", Shape::Of(OpenAi)),
            ("/models", "/v1/models", Shape::Shared),
            ("/messages", "/v1/messages", Shape::Of(Anthropic)),
            ("/v1/v1/messages", "/v1/messages", Shape::Of(Anthropic)),
            ("/v1/v1/messages/count_tokens", "/v1/messages/count_tokens", Shape::Of(Anthropic)),
            ("/v1/v1/chat/completions", "/v1/chat/completions", Shape::Of(OpenAi)),
            ("/v1/chat/completions/", "/v1/chat/completions", Shape::Of(OpenAi)),
            ("//v1/chat/completions", "/v1/chat/completions", Shape::Of(OpenAi)),
            ("/api/v1/chat/completions", "/v1/chat/completions", Shape::Of(OpenAi)),
            ("/v1beta/openai/v1/chat/completions", "/v1/chat/completions", Shape::Of(OpenAi)),
            ("/models/gemini:generateContent", "/v1/models/gemini:generateContent", Shape::Of(Google)),
            ("/v1/v1beta/models/gemini:generateContent", "/v1beta/models/gemini:generateContent", Shape::Of(Google)),
            ("/v1/openai/deployments/d/chat/completions", "/openai/deployments/d/chat/completions", Shape::Of(OpenAi)),
        ] {
            let found = unserved("/llm", path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(found.shape, shape, "{path}");
            let says = format!("the endpoint is /llm{meant}. Check the base URL");
            assert!(found.message.contains(&says), "{path}: {}", found.message);
        }
    }

    #[test]
    fn an_endpoint_outside_the_prefix_is_answered_with_its_path() {
        let found = unprefixed("/llm", "/v1/messages").unwrap();
        assert_eq!(found.shape, Shape::Of(Dialect::Anthropic));
        assert!(found.message.contains("the endpoint is /llm/v1/messages"), "{}", found.message);
        assert_eq!(unprefixed("/llm", "/v1/users"), None);
        assert_eq!(unprefixed("/llm", "/"), None);
    }

    #[test]
    fn unrelated_paths_belong_to_no_family() {
        for path in
            ["", "/", "/users", "/v1", "/v1/", "/v1/users", "/v2/things", "/model/x", "/api/keys", "/V1/files", "/x/y"]
        {
            assert_eq!(unserved("", path), None, "{path}");
        }
    }

    #[test]
    fn a_message_repeats_a_long_path_in_part() {
        for path in [
            format!("/v1/files/{}", "é".repeat(30_000)),
            format!("/v1/v1beta/models/{}:countTokens", "m".repeat(60_000)),
        ] {
            let message = unserved("", &path).unwrap().message;
            assert!(message.len() < 800, "{}", message.len());
        }
    }
}
