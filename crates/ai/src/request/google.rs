//! Gemini's bodies: the path names the model; if the body also names a model, it must be the same.

use std::ops::Range;

use super::json::{self, fields, fields_and_hints, invalid};
use super::{CallError, MODEL, Place, RequestFields, Shape};
use crate::endpoint::Endpoint;

/// Maximum number of requests in one `batchEmbedContents`; Google accepts 100.
const REQUESTS_MAX: usize = 4_096;
const REQUESTS: &str = "requests";
const TOOLS: &str = "tools";
/// A complete request inside `countTokens`, in both spellings that proto JSON allows.
const INNER: [&str; 2] = ["generateContentRequest", "generate_content_request"];

pub(super) fn read(endpoint: Endpoint, model: &str, text: &str) -> Result<RequestFields, CallError> {
    let mut models = Vec::new();
    let mut offers_tools = false;
    let mut note = |at: Option<Range<usize>>| -> Result<(), CallError> {
        if let Some(at) = at.filter(|at| text.get(at.clone()) != Some("null")) {
            let named = json::name(text, MODEL, &at)?;
            if named.strip_prefix("models/").unwrap_or(&named) != model {
                return Err(invalid(MODEL, "the path's model, or absent", &at));
            }
            models.push(Place { at, shape: Shape::Google, agrees: true });
        }
        Ok(())
    };
    let within = |at: Range<usize>| fields(text.get(at.clone()).unwrap_or_default(), at.start, [MODEL]).map(|[at]| at);
    if endpoint == Endpoint::BatchEmbedContents {
        let [at, requests] = fields(text, 0, [MODEL, REQUESTS])?;
        note(at)?;
        if let Some(at) = requests {
            let list = json::objects(text.get(at.clone()).unwrap_or_default(), at.start, REQUESTS_MAX);
            for request in list.ok_or_else(|| invalid(REQUESTS, "a list of at most 4096 objects", &at))? {
                note(within(request)?)?;
            }
        }
    } else if endpoint == Endpoint::GeminiCountTokens {
        let [camel, snake] = INNER;
        let [at, first, second] = fields(text, 0, [MODEL, camel, snake])?;
        note(at)?;
        let is_object = |at: &Range<usize>| text.get(at.clone()).is_some_and(|value| value.starts_with('{'));
        for request in [first, second].into_iter().flatten().filter(is_object) {
            note(within(request)?)?;
        }
    } else {
        let ([at], [tools]) = fields_and_hints(text, 0, [MODEL], [TOOLS])?;
        note(at)?;
        offers_tools = tools.is_some_and(|at| json::is_filled_list(text, &at));
    }
    let stream = endpoint == Endpoint::StreamGenerateContent;
    Ok(RequestFields { model: model.to_owned(), stream, models, offers_tools, ..RequestFields::default() })
}
