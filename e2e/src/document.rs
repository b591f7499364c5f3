//! The OpenAPI document, and checks of responses against it.

pub mod schema;

use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::client::Answer;

/// Path of the document in the repository, relative to this crate.
const KEPT: &str = "../docs/openapi.json";
/// The prefix of the header fields about rate limits, and the one that every rate-limited response has.
const LIMITS: &str = "X-RateLimit-";
const LIMIT: &str = "X-RateLimit-Limit";
/// The message of the 404 for an unknown path.
const NOWHERE: &str = "nothing is found at this path";

/// An OpenAPI document as JSON.
#[derive(Debug)]
pub struct Document(Value);

/// One operation of an OpenAPI document.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    document: &'a Document,
    /// The method in capital letters.
    pub method: &'a str,
    /// The path template, with parameter names in braces.
    pub path: &'a str,
    says: &'a Map<String, Value>,
}

/// A parameter of an operation.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<'a> {
    /// The location of the parameter: `path` or `query`.
    pub place: &'a str,
    /// The name of the parameter.
    pub name: &'a str,
    /// The schema of the parameter's values.
    pub schema: &'a Value,
}

impl Document {
    /// Returns the document of the repository, `docs/openapi.json`.
    ///
    /// # Panics
    /// The file is missing or is not JSON.
    #[must_use]
    pub fn committed() -> &'static Self {
        static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT);
            match std::fs::read(&file).map(|bytes| serde_json::from_slice(&bytes)) {
                Ok(Ok(document)) => Document(document),
                other => panic!("{}: {other:?}", file.display()),
            }
        });
        &DOCUMENT
    }

    /// Returns the whole document as JSON.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.0
    }

    /// Returns all operations, ordered by path and method.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.0["paths"].as_object().into_iter().flatten();
        let items = paths.flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |item| (path, item)));
        let operations = items.filter_map(|(path, (method, says))| {
            let method = match method.as_str() {
                "get" => "GET",
                "post" => "POST",
                "patch" => "PATCH",
                "put" => "PUT",
                "delete" => "DELETE",
                _ => return None,
            };
            says.as_object().map(|says| Operation { document: self, method, path, says })
        });
        operations.collect()
    }

    /// Finds the operation for a request; a literal path takes precedence over a template.
    #[must_use]
    pub fn find(&self, method: &str, target: &str) -> Option<Operation<'_>> {
        let path = target.split('?').next().unwrap_or_default();
        let fits = |operation: &Operation<'_>| operation.method == method && fits(operation.path, path);
        self.operations().into_iter().filter(fits).min_by_key(|operation| operation.path.matches('{').count())
    }

    /// Checks that the document lists a response of control: status, code and schema. Requests without an operation
    /// are not checked.
    ///
    /// # Errors
    /// The difference between the response and the document.
    pub fn check(&self, method: &str, target: &str, answer: &Answer) -> Result<(), String> {
        let Some(operation) = self.find(method, target) else { return Ok(()) };
        if answer.status() == 404 && answer.text().contains(NOWHERE) {
            return Ok(());
        }
        operation.check(answer)
    }
}

fn fits(template: &str, path: &str) -> bool {
    let mut template = template.split('/');
    let mut path = path.split('/');
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(name), Some(part)) if name.starts_with('{') && !part.is_empty() => {}
            (Some(word), Some(part)) if word == part => {}
            _ => return false,
        }
    }
}

impl<'a> Operation<'a> {
    /// Returns method and path, for example `GET /health`.
    #[must_use]
    pub fn summary(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Returns the parameters of the operation.
    #[must_use]
    pub fn parameters(&self) -> Vec<Parameter<'a>> {
        let parameters = self.says.get("parameters").and_then(Value::as_array).into_iter().flatten();
        let word = |parameter: &'a Value, field: &str| parameter[field].as_str().unwrap_or_default();
        let parameters = parameters.map(|parameter| Parameter {
            place: word(parameter, "in"),
            name: word(parameter, "name"),
            schema: &parameter["schema"],
        });
        parameters.collect()
    }

    /// Returns the schema of the request body, if the operation takes one.
    #[must_use]
    pub fn body(&self) -> Option<&'a Value> {
        Some(&self.says.get("requestBody")?["content"]["application/json"]["schema"])
    }

    /// Returns the names of the accepted security schemes; empty if the operation needs no authentication.
    #[must_use]
    pub fn schemes(&self) -> Vec<&'a str> {
        let either = self.says.get("security").and_then(Value::as_array).into_iter().flatten();
        either.filter_map(|scheme| scheme.as_object()?.keys().next().map(String::as_str)).collect()
    }

    /// Returns the first tag of the operation.
    #[must_use]
    pub fn tag(&self) -> &'a str {
        self.says.get("tags").and_then(|tags| tags[0].as_str()).unwrap_or_default()
    }

    /// Returns the documented responses by status.
    #[must_use]
    pub fn answers(&self) -> &'a Map<String, Value> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.says.get("responses").and_then(Value::as_object).unwrap_or(&NONE)
    }

    /// Returns whether a successful response is a stream of events, which does not end by itself.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.answers().get("200").is_some_and(|listed| !listed["content"]["text/event-stream"].is_null())
    }

    /// Returns the header fields that the document requires with `answer` and that `answer` lacks. Rate limit fields
    /// are included even if the server has no rate limits.
    pub fn missing<'b>(&self, answer: &'b Answer) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
        let listed = self.answers().get(&answer.status().to_string()).and_then(|listed| listed["headers"].as_object());
        listed.into_iter().flatten().map(|(name, _)| name.as_str()).filter(|name| answer.header(name).is_none())
    }

    /// Checks that the document lists `answer` for this operation.
    ///
    /// # Errors
    /// The difference between the response and the document.
    pub fn check(&self, answer: &Answer) -> Result<(), String> {
        let mismatch = |what: String| format!("{} answers what docs/openapi.json does not say: {what}", self.summary());
        let status = answer.status().to_string();
        let Some(listed) = self.answers().get(&status) else {
            return Err(mismatch(format!("the status {status}: {}", answer.text())));
        };
        // Most test servers have no rate limits and therefore send no rate limit fields.
        let counted = answer.header(LIMIT).is_some();
        if let Some(header) = self.missing(answer).find(|name| counted || !name.starts_with(LIMITS)) {
            return Err(mismatch(format!("no {header} with {status}")));
        }
        let Some(content) = listed.get("content").and_then(Value::as_object) else {
            let empty = answer.body.is_empty();
            return if empty { Ok(()) } else { Err(mismatch(format!("a body with {status}: {}", answer.text()))) };
        };
        let media = answer.header("content-type").unwrap_or_default();
        // The document may omit parameters.
        let kind = media.split(';').next().unwrap_or_default();
        let Some(content) = content.get(media).or_else(|| content.get(kind)) else {
            return Err(mismatch(format!("the media type {media} with {status}")));
        };
        if media != "application/json" {
            return Ok(());
        }
        let body: Value =
            serde_json::from_slice(&answer.body).map_err(|error| mismatch(format!("no JSON: {error}")))?;
        schema::check(self.document.value(), &content["schema"], &body)
            .map_err(|wrong| mismatch(format!("with {status}, {wrong}: {body}")))?;
        match body["error"]["code"].as_str() {
            Some(code) if answer.status() >= 400 && content["examples"].get(code).is_none() => {
                Err(mismatch(format!("the code {code} with {status} (name it in the handler's `x-codes`)")))
            }
            _ => Ok(()),
        }
    }
}
