//! What an operation below `/api/` does not take. A handler that reads no query or no body need not think of either: what its
//! description does not list is refused before it, by default. One that reads them refuses there what it does not know.

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

/// Below this every operation is strict.
const STRICT: &str = "/api/";

/// What operations take, by path and method.
#[derive(Debug)]
pub(crate) struct Undeclared {
    by_path: HashMap<String, Vec<(Method, Takes)>>,
    /// Until a body has arrived.
    within: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Takes {
    query: bool,
    body: bool,
}

/// No parameter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Whether what an operation of this path does not list is refused here.
pub(crate) fn is_strict(path: &str) -> bool {
    path.starts_with(STRICT)
}

impl Undeclared {
    /// By what the handlers say of themselves. A body that is not taken is waited for no longer than `within`.
    pub(crate) fn of(document: &OpenApi, within: Duration) -> Self {
        let strict = document.paths.paths.iter().filter(|(path, _)| is_strict(path));
        Self { by_path: strict.map(|(path, item)| (path.clone(), methods(item))).collect(), within }
    }

    async fn judge(&self, request: Request) -> Result<Request, Problem> {
        // Where there is no such method, that is told instead.
        let Some(takes) = self.takes(&request) else { return Ok(request) };
        if !takes.query {
            let Nothing {} = input::query(request.uri())?;
        }
        if takes.body { Ok(request) } else { input::none(request, self.within).await }
    }

    fn takes(&self, request: &Request) -> Option<Takes> {
        let path = request.extensions().get::<MatchedPath>()?;
        // axum has HEAD answered by the handler of GET.
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let methods = self.by_path.get(path.as_str())?;
        methods.iter().find(|(of, _)| of == method).map(|(_, takes)| *takes)
    }
}

fn methods(item: &PathItem) -> Vec<(Method, Takes)> {
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

fn takes(operation: &Operation) -> Takes {
    let mut parameters = operation.parameters.iter().flatten();
    Takes {
        query: parameters
            .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query)),
        body: operation.request_body.is_some(),
    }
}

/// Refuses what is not taken.
pub(crate) async fn refuse(State(undeclared): State<Arc<Undeclared>>, request: Request, next: Next) -> Response {
    match undeclared.judge(request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
