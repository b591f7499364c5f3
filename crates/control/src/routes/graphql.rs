//! `POST /graphql`: several reads in one query.

use std::sync::Arc;

use access::Refusal;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::accept::accepts;
use crate::graphql::GraphQl;
use crate::input;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::Caller;

/// The media type of results (GraphQL over HTTP, 6.1). Clients that do not name it get `application/json`.
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";
/// The maximum length of a query.
const QUERY_BYTES_MAX: usize = 65_536;

/// A query (GraphQL over HTTP).
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"query": "{ me { user { email } } usageToday { requests } }"}))]
#[serde(deny_unknown_fields)]
struct GraphQlRequest {
    /// The document with the query.
    #[schema(max_length = 65_536)]
    query: String,
    /// The name of the query to run, if the document has several.
    #[serde(default, rename = "operationName")]
    operation_name: Option<String>,
    /// The values of variables, by name.
    #[serde(default)]
    variables: Option<Map<String, Value>>,
    /// Extensions of the client, which are ignored.
    #[serde(default, rename = "extensions")]
    _extensions: Option<Map<String, Value>>,
}

/// The result of a query. A field whose operation failed is null, and has an error.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of the JSON that the executor writes")]
struct GraphQlResult {
    /// The fields, as the query names them; null if a field that is never null has failed.
    data: Option<Map<String, Value>>,
    /// The errors of operations; absent without any.
    #[schema(nullable = false)]
    errors: Option<Vec<GraphQlFieldError>>,
}

/// The error of a field.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of the JSON that the executor writes")]
struct GraphQlFieldError {
    /// The reason and the remedy, for people.
    message: String,
    /// The places in the query.
    locations: Vec<Value>,
    /// The names of the fields down to the failed one.
    path: Vec<Value>,
    /// `code` and `status` of the operation's error.
    #[schema(nullable = false)]
    extensions: Option<Map<String, Value>>,
}

/// Runs a GraphQL query.
///
/// Each operation that reads JSON with a credential is a field of `Query`: `GET /api/usage/requests/{id}` is
/// `usageRequestsById`. Its parameters are arguments. The operation's scopes, rate limits and errors apply, and each field
/// counts as a request. A query is at most 8 deep, has at most 1,000 fields, and calls at most 10 operations. Its result has at
/// most 200,000 values. The schema can be queried.
#[utoipa::path(post, path = "/graphql", tag = "usage", request_body = GraphQlRequest, security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["unprocessable"]))),
    responses((status = 200, body = GraphQlResult, example = json!({"data": {"me": {"user": {"email": "ada@example.com"}}}}))))]
pub(super) async fn query(
    State(app): State<Arc<App>>,
    Extension(graphql): Extension<Arc<GraphQl>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let is_graphql = accepts(&parts.headers, GRAPHQL_RESPONSE);
    let head = parts.clone();
    let GraphQlRequest { query, operation_name, variables, _extensions: _ } =
        input::required(Request::from_parts(parts, body), app.limits.body).await?;
    if query.len() > QUERY_BYTES_MAX {
        let message = format!("`query` has {} bytes, and may have {QUERY_BYTES_MAX}", query.len());
        return Err(Problem::new(Refusal::Unprocessable, message));
    }
    let _turn = graphql.turn(caller.user).await;
    let result = graphql.run(head, query, operation_name, variables.unwrap_or_default().into()).await?;
    let mut response = Json(result).into_response();
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    if is_graphql {
        let media_type = HeaderValue::from_static("application/graphql-response+json; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    }
    Ok(response)
}
