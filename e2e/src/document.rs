//! What the OpenAPI document promises, and whether an answer keeps it.

pub mod schema;

use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::client::Answer;

/// Where the repository keeps the document.
const KEPT: &str = "../docs/openapi.json";
/// How the headers begin that tell of limits, and the one that stands first.
const LIMITS: &str = "X-RateLimit-";
const LIMIT: &str = "X-RateLimit-Limit";
/// What is said of a path that is nothing.
const NOWHERE: &str = "nothing is found at this path";

/// An OpenAPI document.
#[derive(Debug)]
pub struct Document(Value);

/// One operation of it.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    document: &'a Document,
    /// In capitals.
    pub method: &'a str,
    /// With names in braces where ids stand.
    pub path: &'a str,
    says: &'a Map<String, Value>,
}

/// A parameter of an operation.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<'a> {
    /// `path` or `query`.
    pub place: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What its values are.
    pub schema: &'a Value,
}

impl Document {
    /// The repository's.
    ///
    /// # Panics
    /// It is not there.
    #[must_use]
    pub fn kept() -> &'static Self {
        static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT);
            match std::fs::read(&file).map(|bytes| serde_json::from_slice(&bytes)) {
                Ok(Ok(document)) => Document(document),
                other => panic!("{}: {other:?}", file.display()),
            }
        });
        &DOCUMENT
    }

    /// The whole of it.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.0
    }

    /// Its operations, by path and method.
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

    /// The operation that answers to this; a path that is written out goes before one with a name.
    #[must_use]
    pub fn find(&self, method: &str, target: &str) -> Option<Operation<'_>> {
        let path = target.split('?').next().unwrap_or_default();
        let fits = |operation: &Operation<'_>| operation.method == method && fits(operation.path, path);
        self.operations().into_iter().filter(fits).min_by_key(|operation| operation.path.matches('{').count())
    }

    /// Whether an answer of control is one that the document lists: status, code and schema. What no operation answers is
    /// not asked about.
    ///
    /// # Errors
    /// What the document does not say.
    pub fn check(&self, method: &str, target: &str, answer: &Answer) -> Result<(), String> {
        let Some(operation) = self.find(method, target) else { return Ok(()) };
        if answer.status() == 404 && answer.text().contains(NOWHERE) {
            return Ok(());
        }
        operation.check(answer)
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
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
    /// `GET /health`.
    #[must_use]
    pub fn told(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Its parameters.
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

    /// What its body is, where it takes one.
    #[must_use]
    pub fn body(&self) -> Option<&'a Value> {
        Some(&self.says.get("requestBody")?["content"]["application/json"]["schema"])
    }

    /// Names of the security schemes of which one must be met; empty where anybody may call.
    #[must_use]
    pub fn schemes(&self) -> Vec<&'a str> {
        let either = self.says.get("security").and_then(Value::as_array).into_iter().flatten();
        either.filter_map(|scheme| scheme.as_object()?.keys().next().map(String::as_str)).collect()
    }

    /// Its group.
    #[must_use]
    pub fn tag(&self) -> &'a str {
        self.says.get("tags").and_then(|tags| tags[0].as_str()).unwrap_or_default()
    }

    /// Its answers by status.
    #[must_use]
    pub fn answers(&self) -> &'a Map<String, Value> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.says.get("responses").and_then(Value::as_object).unwrap_or(&NONE)
    }

    /// Headers that the document promises with `answer` and that it does not have. Those of limits are among them where the server has
    /// no limits.
    pub fn missing<'b>(&self, answer: &'b Answer) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
        let listed = self.answers().get(&answer.status().to_string()).and_then(|listed| listed["headers"].as_object());
        listed.into_iter().flatten().map(|(name, _)| name.as_str()).filter(|name| answer.header(name).is_none())
    }

    /// Whether `answer` is one of those that the document lists.
    ///
    /// # Errors
    /// What the document does not say.
    pub fn check(&self, answer: &Answer) -> Result<(), String> {
        let told = |what: String| format!("{} answers what docs/openapi.json does not say: {what}", self.told());
        let status = answer.status().to_string();
        let Some(listed) = self.answers().get(&status) else {
            return Err(told(format!("the status {status}: {}", answer.text())));
        };
        // Most servers of tests have no limits, and then no header of one.
        let counted = answer.header(LIMIT).is_some();
        if let Some(header) = self.missing(answer).find(|name| counted || !name.starts_with(LIMITS)) {
            return Err(told(format!("no {header} with {status}")));
        }
        let Some(content) = listed.get("content").and_then(Value::as_object) else {
            let empty = answer.body.is_empty();
            return if empty { Ok(()) } else { Err(told(format!("a body with {status}: {}", answer.text()))) };
        };
        let media = answer.header("content-type").unwrap_or_default();
        let Some(content) = content.get(media) else {
            return Err(told(format!("the media type {media} with {status}")));
        };
        if media != "application/json" {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(&answer.body).map_err(|error| told(format!("no JSON: {error}")))?;
        schema::check(self.document.value(), &content["schema"], &body)
            .map_err(|wrong| told(format!("with {status}, {wrong}: {body}")))?;
        match body["error"]["code"].as_str() {
            Some(code) if answer.status() >= 400 && content["examples"].get(code).is_none() => {
                Err(told(format!("the code {code} with {status} (name it in the handler's `x-codes`)")))
            }
            _ => Ok(()),
        }
    }
}
