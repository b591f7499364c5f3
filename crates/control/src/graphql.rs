//! GraphQL over the operations that read: each `GET` operation of the OpenAPI document that needs a credential and responds
//! with JSON is a field of `Query`. The field calls the operation's handler with the credential of the query, so scopes, limits
//! and errors are those of REST, and the JSON is passed on.
//!
//! Reading order: this module (a query and its bounds), `nesting` and `size` (bounds that the library does not have), `turns`
//! (queries at once), `call` (one operation), [`schema`] (types from the document).

mod call;
mod nesting;
mod schema;
mod size;
mod turns;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use access::{Refusal, UserId};
use async_graphql::dynamic::Schema;
use async_graphql::parser::types::{ExecutableDocument, Selection};
use async_graphql::parser::{self, parse_query};
use async_graphql::{Request, Response, Variables};
use axum::Router;
use http::request::Parts;
use serde_json::Value;

use crate::message::problem::Problem;
use crate::openapi::DocumentText;
use schema::{DepthBound, Operations};
use turns::{QueryTurn, QueryTurns};

/// The maximum depth of a query; `{me {id}}` has the depth 2.
const DEPTH_MAX: usize = 8;
/// The depth of a query of the schema itself, as tools send it.
const INTROSPECTION_DEPTH_MAX: usize = 16;
/// The maximum number of fields of a query, in all depths and with repetitions by aliases and fragments.
const FIELDS_MAX: usize = 1_000;
/// The maximum number of operations that a query calls.
const CALLS_MAX: usize = 10;
/// The maximum number of values in the result of a query. All fields of a year's series in eleven groups are about 105,000.
const VALUES_MAX: usize = 200_000;
/// The maximum number of values in the variables of a query. A query has at most as many fields, with a few arguments each.
const VARIABLES_MAX: usize = 5_000;

/// The schema and the handlers that its fields call.
pub(crate) struct GraphQl {
    /// The text of the OpenAPI document.
    document: Arc<DocumentText>,
    handlers: Router,
    /// Built for the first query, because it takes some milliseconds.
    schemas: OnceLock<Schemas>,
    turns: Arc<QueryTurns>,
}

/// The schema with different bounds.
struct Schemas {
    /// For queries of data.
    data: Schema,
    /// For queries of the schema, which are deeper.
    introspection: Schema,
}

/// What a query needs while it runs.
struct QueryCalls {
    handlers: Router,
    parts: Parts,
    called: AtomicUsize,
    /// The number of values of all responses that the query selects, or more than the maximum.
    values: AtomicUsize,
}

impl QueryCalls {
    /// Counts a call; `false` if there were too many.
    fn begin(&self) -> bool {
        self.called.fetch_add(1, Ordering::Relaxed) < CALLS_MAX
    }

    /// Counts the values of a response; `false` if the result has too many.
    fn admit(&self, values: usize) -> bool {
        self.values.fetch_add(values, Ordering::Relaxed).saturating_add(values) <= VALUES_MAX
    }
}

impl GraphQl {
    /// `document` is the complete OpenAPI document; `handlers` serves its operations.
    pub(crate) fn new(document: Arc<DocumentText>, handlers: Router) -> Self {
        Self { document, handlers, schemas: OnceLock::new(), turns: QueryTurns::new() }
    }

    fn schemas(&self) -> Result<&Schemas, Problem> {
        if let Some(schemas) = self.schemas.get() {
            return Ok(schemas);
        }
        let document: Value = serde_json::from_slice(&self.document).map_err(Problem::fault)?;
        let operations = Operations::from_document(&document);
        let bounded =
            |depth, is_introspection| operations.schema(DepthBound { depth, is_introspection }).map_err(Problem::fault);
        let schemas =
            Schemas { data: bounded(DEPTH_MAX, false)?, introspection: bounded(INTROSPECTION_DEPTH_MAX, true)? };
        Ok(self.schemas.get_or_init(|| schemas))
    }

    /// Waits until a query of the user may run.
    pub(crate) async fn turn(&self, user: UserId) -> Option<QueryTurn> {
        self.turns.turn(user).await
    }

    /// Runs a query in its [turn](Self::turn). `parts` is the head of its request, whose credential each call has.
    ///
    /// # Errors
    /// `bad_request` for a query that cannot be read, that the schema does not have, or that is too large.
    pub(crate) async fn run(
        &self,
        parts: Parts,
        query: String,
        operation: Option<String>,
        variables: Value,
    ) -> Result<Response, Problem> {
        nesting::check(&query).map_err(|error| refused(&error.to_string()))?;
        let document = parse_query(&query).map_err(|error| refused(&unreadable(&error)))?;
        size::check(&document).map_err(|error| refused(&error.to_string()))?;
        if size::count(&variables, VARIABLES_MAX) > VARIABLES_MAX {
            return Err(refused(&format!("its variables have more than {VARIABLES_MAX} values")));
        }
        let schemas = self.schemas()?;
        let schema = if is_introspection(&document) { &schemas.introspection } else { &schemas.data };
        let called = AtomicUsize::new(0);
        let values = AtomicUsize::new(0);
        let calls = Arc::new(QueryCalls { handlers: self.handlers.clone(), parts, called, values });
        let mut request = Request::new(query).variables(Variables::from_json(variables)).data(Arc::clone(&calls));
        request.operation_name = operation;
        request.set_parsed_query(document);
        let mut response = schema.execute(request).await;
        if calls.values.load(Ordering::Relaxed) > VALUES_MAX {
            return Err(refused(&size::QuerySizeError::Values.to_string()));
        }
        // Calls end in any order.
        response.errors.sort_by_key(|error| error.locations.first().map(|place| (place.line, place.column)));
        let has_run = calls.called.load(Ordering::Relaxed) > 0;
        match response.errors.first() {
            Some(error) if !has_run => Err(refused(&error.message)),
            Some(_) | None => Ok(response),
        }
    }
}

/// The place and the reason of a query that cannot be parsed, without the parser's excerpt of the query.
fn unreadable(error: &parser::Error) -> String {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default().trim_start_matches(['=', ' ']);
    match error.positions().next() {
        Some(place) => format!("line {}, column {}: {reason}", place.line, place.column),
        None => reason.to_owned(),
    }
}

fn refused(reason: &str) -> Problem {
    let bounds =
        format!("at most {DEPTH_MAX} deep, {FIELDS_MAX} fields, {CALLS_MAX} operations and {VALUES_MAX} values");
    Problem::new(Refusal::BadRequest, format!("the GraphQL query was refused ({bounds}): {reason}"))
}

/// Whether each operation of a query reads only the schema.
fn is_introspection(document: &ExecutableDocument) -> bool {
    let is_schema = |selection: &Selection| match selection {
        Selection::Field(field) => field.node.name.node.starts_with("__"),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => false,
    };
    document.operations.iter().all(|(_, operation)| {
        operation.node.selection_set.node.items.iter().all(|selection| is_schema(&selection.node))
    })
}

#[cfg(test)]
mod tests;
