//! Refuses query parameters and bodies that an operation below `/api/` or of insights does not declare. Handlers without a query or a
//! body need no checks of their own. Handlers with them refuse unknown fields themselves.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;
use serde::Deserialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{HttpMethod, Operation, ParameterIn};

use crate::input;
use crate::message::problem::Problem;
use crate::openapi::described::{DescribedOperation, is_strict};

/// The declared inputs of operations, by path.
#[derive(Debug)]
pub(crate) struct InputsByPath {
    by_path: HashMap<String, Vec<InputsOfOperation>>,
    /// The deadline for the arrival of a body.
    within: Duration,
}

/// The inputs of an operation, which are read from its description at its first call.
#[derive(Debug)]
struct InputsOfOperation {
    methods: Vec<Method>,
    operation: fn() -> Operation,
    inputs: OnceLock<DeclaredInputs>,
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

impl InputsByPath {
    /// Takes the declarations from the operations' descriptions. `within` bounds the wait for an undeclared body.
    pub(crate) fn from_operations(operations: &[DescribedOperation], within: Duration) -> Self {
        let mut by_path: HashMap<String, Vec<InputsOfOperation>> = HashMap::new();
        for DescribedOperation { path, methods, operation, .. } in operations.iter().filter(|one| is_strict(&one.path))
        {
            let methods = methods().iter().map(method).collect();
            let inputs = OnceLock::new();
            by_path.entry(path.clone()).or_default().push(InputsOfOperation { methods, operation: *operation, inputs });
        }
        Self { by_path, within }
    }

    async fn judge(&self, request: Request) -> Result<Request, Problem> {
        // An unknown method is refused later, with its own error.
        let Some(takes) = self.takes(&request) else { return Ok(request) };
        if !takes.query {
            let Nothing {} = input::query(request.uri())?;
        }
        match request.method() {
            _ if takes.body => Ok(request),
            &Method::POST => input::none_or_empty(request, self.within).await,
            _ => input::none(request, self.within).await,
        }
    }

    fn takes(&self, request: &Request) -> Option<DeclaredInputs> {
        let path = request.extensions().get::<MatchedPath>()?;
        // Axum serves HEAD with the handler of GET.
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let called = self.by_path.get(path.as_str())?.iter().find(|one| one.methods.contains(method))?;
        Some(*called.inputs.get_or_init(|| takes(&(called.operation)())))
    }
}

fn method(described: &HttpMethod) -> Method {
    match described {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Trace => Method::TRACE,
    }
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
pub(crate) async fn refuse(State(undeclared): State<Arc<InputsByPath>>, request: Request, next: Next) -> Response {
    match undeclared.judge(request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
