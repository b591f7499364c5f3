//! Refuses query parameters and bodies that an operation below `/api/` or of insights does not declare. Handlers without a query or a
//! body need no checks of their own. Handlers with them refuse unknown fields themselves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;
use serde::Deserialize;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, PathItem, RefOr};

use crate::input;
use crate::problem::Problem;

/// The path prefixes of the operations that are checked.
const STRICT: [&str; 9] =
    ["/api/", "/assets/", "/brief/", "/classify/", "/config", "/export/", "/ingest/", "/review/", "/roi/"];

/// The declared inputs of operations, by path and method.
#[derive(Debug)]
pub(crate) struct Undeclared {
    by_path: HashMap<String, Vec<(Method, DeclaredInputs)>>,
    /// The deadline for the arrival of a body.
    within: Duration,
}

#[derive(Debug, Clone, Copy)]
struct DeclaredInputs {
    query: bool,
    body: bool,
}

/// A query without parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Whether undeclared inputs are refused for operations of this path.
pub(crate) fn is_strict(path: &str) -> bool {
    STRICT.iter().any(|prefix| path.starts_with(prefix))
}

impl Undeclared {
    /// Reads the declarations from the OpenAPI document. `within` bounds the wait for an undeclared body.
    pub(crate) fn of(document: &OpenApi, within: Duration) -> Self {
        let strict = document.paths.paths.iter().filter(|(path, _)| is_strict(path));
        Self { by_path: strict.map(|(path, item)| (path.clone(), methods(item))).collect(), within }
    }

    async fn judge(&self, request: Request) -> Result<Request, Problem> {
        // An unknown method is refused later, with its own error.
        let Some(takes) = self.takes(&request) else { return Ok(request) };
        if !takes.query {
            let Nothing {} = input::query(request.uri())?;
        }
        if takes.body { Ok(request) } else { input::none(request, self.within).await }
    }

    fn takes(&self, request: &Request) -> Option<DeclaredInputs> {
        let path = request.extensions().get::<MatchedPath>()?;
        // axum serves HEAD with the handler of GET.
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let methods = self.by_path.get(path.as_str())?;
        methods.iter().find(|(of, _)| of == method).map(|(_, takes)| *takes)
    }
}

fn methods(item: &PathItem) -> Vec<(Method, DeclaredInputs)> {
    let all = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PATCH, &item.patch),
        (Method::PUT, &item.put),
        (Method::DELETE, &item.delete),
    ];
    let there = all.into_iter().filter_map(|(method, operation)| Some((method, takes(operation.as_ref()?))));
    there.collect()
}

fn takes(operation: &Operation) -> DeclaredInputs {
    let mut parameters = operation.parameters.iter().flatten();
    DeclaredInputs {
        query: parameters
            .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query)),
        body: operation.request_body.is_some(),
    }
}

/// Refuses requests with undeclared inputs.
pub(crate) async fn refuse(State(undeclared): State<Arc<Undeclared>>, request: Request, next: Next) -> Response {
    match undeclared.judge(request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
