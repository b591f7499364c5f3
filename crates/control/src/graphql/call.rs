//! One call of an operation: its URL from the arguments, its response, and its error.

use std::fmt::Write as _;
use std::sync::Arc;

use async_graphql::dynamic::{FieldValue, ResolverContext};
use async_graphql::{Error, ErrorExtensions as _};
use axum::body::{Body, to_bytes};
use axum::extract::MatchedPath;
use http::{Method, Request, header};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;

use super::size::{self, QuerySizeError};
use super::{CALLS_MAX, QueryCalls};

/// The maximum size of a response of an operation. The largest list has 1,000 entries.
const RESPONSE_BYTES_MAX: usize = 16 << 20;

/// An argument that is part of the path, or of the query of the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallArgument {
    pub(super) name: String,
    pub(super) is_in_path: bool,
}

/// A `GET` operation of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CalledOperation {
    /// The path, such as `/api/keys/{id}`.
    pub(super) path: String,
    pub(super) arguments: Vec<CallArgument>,
}

impl CalledOperation {
    /// Calls the operation with the arguments of a field. Returns the JSON of its response, or nothing after an error, which is
    /// added to those of the query.
    pub(super) async fn value<'a>(&self, field: ResolverContext<'a>) -> Option<FieldValue<'a>> {
        match self.call(&field).await {
            Ok(body) => (!body.is_null()).then(|| FieldValue::owned_any(body)),
            Err(error) => {
                let error = error.into_server_error(field.ctx.item.pos);
                field.ctx.add_error(field.ctx.set_error_path(error));
                None
            }
        }
    }

    async fn call(&self, field: &ResolverContext<'_>) -> Result<Value, Error> {
        let calls = field.data::<Arc<QueryCalls>>()?;
        if !calls.begin() {
            return Err(Error::new(format!("a query calls at most {CALLS_MAX} operations")));
        }
        let mut values = Vec::new();
        for argument in &self.arguments {
            if let Some(value) = field.args.get(&argument.name).filter(|value| !value.is_null()) {
                values.push((argument, text(&value.as_value().clone().into_json()?)));
            }
        }
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.url(&values).parse()?;
        *request.headers_mut() = calls.parts.headers.clone();
        for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::TRANSFER_ENCODING, header::IF_NONE_MATCH] {
            request.headers_mut().remove(name);
        }
        // The address of the client, for example. axum appends the path of the operation to a path that is there.
        *request.extensions_mut() = calls.parts.extensions.clone();
        request.extensions_mut().remove::<MatchedPath>();
        let response = TowerToHyperService::new(calls.handlers.clone()).call(request).await?;
        let status = response.status();
        let body = to_bytes(response.into_body(), RESPONSE_BYTES_MAX).await?;
        let body: Value = serde_json::from_slice(&body)?;
        if status.is_success() {
            let is_admitted = calls.admit(size::values(&body, field.field()));
            return if is_admitted { Ok(body) } else { Err(QuerySizeError::Values.into()) };
        }
        let member = |name: &str| body.pointer(&format!("/error/{name}")).and_then(Value::as_str).unwrap_or_default();
        let code = member("code").to_owned();
        let status = status.as_u16();
        Err(Error::new(member("message")).extend_with(|_, extensions| {
            extensions.set("code", code);
            extensions.set("status", status);
        }))
    }

    /// Returns the path and the query of a call.
    fn url(&self, values: &[(&CallArgument, String)]) -> String {
        let mut url = self.path.clone();
        for (argument, value) in values.iter().filter(|(argument, _)| argument.is_in_path) {
            url = url.replace(&format!("{{{}}}", argument.name), &escaped(value));
        }
        let queried = values.iter().filter(|(argument, _)| !argument.is_in_path);
        let pairs: Vec<String> =
            queried.map(|(argument, value)| format!("{}={}", argument.name, escaped(value))).collect();
        if pairs.is_empty() { url } else { format!("{url}?{}", pairs.join("&")) }
    }
}

/// Formats a value as in a query of a URL.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Escapes everything but unreserved characters (RFC 3986, 2.3).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_escaped_in_path_and_query() {
        let argument = |name: &str, is_in_path| CallArgument { name: name.to_owned(), is_in_path };
        let [id, scope, limit] = [argument("id", true), argument("scope", false), argument("limit", false)];
        let operation = CalledOperation { path: "/brief/{id}".into(), arguments: Vec::new() };
        let values = [(&id, "a/../b?c".to_owned()), (&scope, "plan:café &x".to_owned()), (&limit, text(&5.into()))];
        assert_eq!(operation.url(&values), "/brief/a%2F..%2Fb%3Fc?scope=plan%3Acaf%C3%A9%20%26x&limit=5");
        assert_eq!(operation.url(&[]), "/brief/{id}");
    }
}
