//! `GET /api/usage/requests`: one item per request, newest first.

mod refused_limit;
mod table;

use std::sync::Arc;

use access::{ClientProgram, Credits, KeyId, Refusal, RequestId, Role};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use ledger::{
    REQUESTS_PAGE_MAX, RequestFilter, RequestKey, RequestKind, RequestLine, RequestPlace, RequestSubject, UsageOf,
};
use meter::{Outcome, RequestResult};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use self::refused_limit::{LimitReader, RefusedLimitView};
use crate::input;
use crate::message::csv;
use crate::message::figures::{Cost, KeyOwnerView, Tokens, ms};
use crate::message::listing::{self, Place};
use crate::message::moment::{self, rfc3339};
use crate::message::problem::Problem;
use crate::nouns::labels_view;
use crate::nouns::usage_scope::{Scope, Selection};
use crate::process::state::App;
use crate::sign_in::caller::KeyReader;

/// The maximum number of characters of `text`.
const TEXT_MAX: usize = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RequestListQuery {
    /// Returns only requests of the key with this id. `key` is an earlier name of the parameter, which is accepted too.
    #[serde(alias = "key")]
    key_id: Option<Uuid>,
    /// Returns only requests for this model, as clients name it.
    model: Option<String>,
    /// Returns only requests with this label, as `NAME=VALUE`. Requests that were made
    /// under more than the maximum of 1,000 label sets have no label.
    #[param(max_length = 791, pattern = "^[^=,]+=[^,]+$")]
    label: Option<String>,
    /// Returns only requests with this status, such as `429`, with this class of statuses, such as `4xx`, or with this
    /// result: `succeeded`, `refused` or `failed`. A single status selects no items with `count`.
    status: Option<String>,
    /// Returns only requests to LLM endpoints (`llm`), or of ordinary routes (`route`).
    kind: Option<String>,
    /// Returns only requests of the route with this name, or to the LLM endpoint with this path.
    route: Option<String>,
    /// Returns only requests of the routes that match this path in the running configuration, for any host and method.
    path: Option<String>,
    /// Returns only requests with this text in a name (route, model, provider, user, key, subject), the end of the key or the
    /// error code, in any case of ASCII letters.
    #[param(max_length = 100)]
    text: Option<String>,
    /// Returns only requests that began at or after this time (RFC 3339).
    #[param(format = DateTime)]
    since: Option<String>,
    /// Returns only requests that began before this time (RFC 3339).
    #[param(format = DateTime)]
    until: Option<String>,
    /// The usage of `me` (the default), of `all` users, of `user:ID`, of the users with the plan `plan:NAME` now, or of
    /// the key `key:ID`. Only for admins, except `me`.
    scope: Option<String>,
    /// The user; only for admins. Default: the authenticated user.
    user_id: Option<Uuid>,
    /// The maximum number of items on the page: at most 200, default 50; of a table at most 10,000, which is also the
    /// default.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
    /// The value of `next` of the previous page. Without it, the first page is returned.
    cursor: Option<String>,
    /// The format of the response: `json` (the default) or `csv`.
    format: Option<String>,
}

/// A page of requests, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestPage)]
pub(in crate::routes) struct RequestListPage {
    items: Vec<RequestItem>,
    /// The cursor of the next page; null at the end. A page can contain fewer items than requested, or no items, and
    /// still be followed by another page, because each page reads at most 20,000 requests: of those that were refused or have
    /// failed, if the filter selects only such requests, or of the model, in lists of several users.
    next: Option<String>,
}

/// One request as it was recorded, or the requests of one key, route, status class and minute, if the route only counts
/// requests.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestLine)]
pub(in crate::routes) struct RequestItem {
    /// The id of the request, as in the response's `X-Request-Id`.
    #[schema(value_type = Uuid)]
    id: RequestId,
    /// The time at which its head had arrived; with `count`, the begin of the minute.
    #[schema(format = DateTime)]
    started_at: String,
    /// The number of requests, if the item contains the requests of a minute; null for a single request.
    count: Option<u64>,
    /// The kind: `llm` or `route`.
    kind: &'static str,
    /// The key; null if the request was made without one, or if the store no longer contains it.
    key: Option<RequestKeyView>,
    /// The user of the request; only in lists of several users, and for admins in the details of a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<KeyOwnerView>,
    /// The identity of a request that was made without a key. Only admins see such requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<RequestSubjectView>,
    /// The name of the route.
    route: Option<String>,
    /// The API format of an LLM request; null for other requests.
    format: Option<String>,
    /// The model as the client named it; null without a known model name.
    model: Option<String>,
    /// The provider that responded; null if the request never reached a provider.
    provider: Option<String>,
    /// The model that responded, as its provider names it; null if it is unknown.
    answered_model: Option<String>,
    /// The program that sent the request, by its `User-Agent`, such as `codex`, or `unknown`; null with `count`.
    program: Option<String>,
    /// Whether the response was an event stream.
    streamed: bool,
    /// The status that the client received. With `count`, the first status of the class, such as 200; 0 if the client
    /// disconnected before it received one.
    status: u16,
    /// The result: `succeeded`, `refused` (by the gateway, because the request is invalid, its key is not accepted or a
    /// limit is exhausted) or `failed` (the upstream responded with an error, cut its response or could not be reached, or
    /// the gateway failed).
    result: &'static str,
    /// The outcome: `completed`, `caller_gone`, `upstream_cut`, `budget_cut`, `timed_out`, `drained`, `interrupted`, or `counted`
    /// (of lines with `count`).
    outcome: String,
    /// The refusal or error, if the gateway created the response; null otherwise.
    refusal: Option<RequestRefusalView>,
    /// The credits that the request cost; 0 if it was refused.
    #[schema(value_type = f64)]
    credits: Credits,
    /// The number of attempts; 0 if the request never reached a provider.
    attempt_count: u64,
    /// The tokens; null if unknown.
    tokens: Option<Tokens>,
    /// The known part of the cost; null if nothing is known.
    cost: Option<Cost>,
    /// Whether the cost is unknown, or known in part only.
    unpriced: bool,
    /// The reason why the cost of an LLM request is unknown, or known in part only: `no_usage`, `unreadable_usage`,
    /// `unpriced_tool`, `unknown_terms`, `no_price`, `no_rate` or `interrupted`; null if the cost is known.
    unknown_reason: Option<String>,
    charged: ChargedAmounts,
    /// The durations; null with `count`.
    phases: Option<Phases>,
    /// The sizes; null with `count`.
    bytes: Option<Bytes>,
}

/// The identity of a request that was made without a key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestSubject)]
struct RequestSubjectView {
    /// The kind: `token`, `basic`, `certificate` or `anonymous`.
    kind: String,
    /// The issuer of a token; null for other kinds.
    issuer: Option<String>,
    /// The name of the identity; null for an anonymous client.
    name: Option<String>,
}

/// The amount that budgets count for a request: its usage; if that is unknown and a budget applies, the larger of
/// the reserved and the known amount.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestCharged)]
struct ChargedAmounts {
    tokens: u64,
    cost: Cost,
}

/// The key of a request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestKey)]
struct RequestKeyView {
    #[schema(value_type = Uuid)]
    id: KeyId,
    label: String,
    prefix: String,
    last4: String,
}

/// The reason why a request was refused or failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestRefusal)]
struct RequestRefusalView {
    /// The error code, one of a closed list.
    code: String,
    /// The meaning of the code; null for a code of a newer version of the server.
    message: Option<&'static str>,
    /// The documentation page of the code.
    page: String,
    /// The limit, quota or budget that refused the request, as it was at that time; null if no limit has, and for requests
    /// that an older version recorded.
    limit: Option<RefusedLimitView>,
}

/// The durations of a request's phases, in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestPhases)]
struct Phases {
    /// From the start of the last attempt to the first byte of its response; null without one.
    first_byte_ms: Option<f64>,
    /// The whole last attempt; null without one.
    upstream_ms: Option<f64>,
    /// From the request's head to the end of the response.
    total_ms: f64,
}

/// The sizes of bodies in bytes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestBytes)]
struct Bytes {
    /// The bytes that were sent to the upstream.
    request: u64,
    /// The bytes that were sent to the client.
    response: u64,
}

impl From<RequestKey> for RequestKeyView {
    fn from(key: RequestKey) -> Self {
        Self { id: key.id, label: key.label, prefix: key.prefix, last4: key.last4 }
    }
}

impl RequestRefusalView {
    fn from_code(code: String, limit: Option<RefusedLimitView>) -> Self {
        let known = Refusal::ALL.iter().find(|refusal| refusal.code() == code);
        Self { message: known.map(|refusal| refusal.meaning()), page: format!("docs/errors.md#{code}"), code, limit }
    }
}

impl From<RequestLine> for RequestItem {
    fn from(line: RequestLine) -> Self {
        Self::from_line(line, LimitReader::Client)
    }
}

impl RequestItem {
    fn from_line(line: RequestLine, reader: LimitReader) -> Self {
        let result = line.result();
        let is_lost = line.format.is_some() && line.outcome == Outcome::Interrupted.as_str();
        let interrupted = is_lost.then(|| line.outcome.clone());
        let is_single = line.counted.is_none();
        let limit = line.refused_limit.as_ref().map(|limit| RefusedLimitView::from_limit(limit, reader));
        Self {
            id: line.id,
            started_at: rfc3339(line.started_at),
            count: line.counted.map(|counted| counted.requests),
            kind: if line.format.is_some() { "llm" } else { "route" },
            key: line.key.map(RequestKeyView::from),
            user: None,
            subject: line.subject.map(|RequestSubject { kind, issuer, name }| RequestSubjectView {
                kind,
                issuer,
                name,
            }),
            route: line.route,
            format: line.format,
            model: line.model,
            provider: line.provider,
            answered_model: line.answered_model,
            program: line.program.map(word),
            streamed: line.streamed,
            status: line.status,
            result: result.as_str(),
            outcome: if is_single { line.outcome } else { "counted".to_owned() },
            refusal: line.refusal.map(|code| RequestRefusalView::from_code(code, limit)),
            credits: line.credits,
            attempt_count: line.attempts,
            tokens: line.usage.as_ref().filter(|usage| usage.has_tokens()).map(Tokens::from),
            cost: line.cost.map(Cost::from_nano_usd),
            unpriced: line.unpriced,
            unknown_reason: line.unknown.or(interrupted),
            charged: ChargedAmounts { tokens: line.charged.0.0, cost: Cost::from_nano_usd(line.charged.1) },
            phases: is_single.then(|| Phases {
                first_byte_ms: line.first_byte_us.map(ms),
                upstream_ms: line.upstream_us.map(ms),
                total_ms: ms(line.duration_us),
            }),
            bytes: is_single.then_some(Bytes { request: line.request_bytes, response: line.response_bytes }),
        }
    }

    /// Returns the request as admins see it: with its user, and the amounts of limits that users share.
    pub(in crate::routes) fn with_user(mut line: RequestLine) -> Self {
        let user = line.user.take().map(KeyOwnerView::from);
        Self { user, ..Self::for_admin(line) }
    }

    /// Returns the request with the amounts of limits that users share, without its user.
    fn for_admin(line: RequestLine) -> Self {
        Self::from_line(line, LimitReader::Admin)
    }
}

/// Lists the requests of a user; for admins also the requests of several users.
///
/// The list contains LLM requests, including refused ones, and requests of ordinary routes: one item per request of a route
/// that records each request, otherwise one item with `count` per key, route, status class and minute. Requests of ordinary
/// routes that reached no upstream, such as refused ones, are always counted.
///
/// With `format=csv`, the response is a table with one row per request. If more rows follow, its `Link` header with
/// `rel="next"` has their address.
#[utoipa::path(get, path = "/api/usage/requests", tag = "usage", params(RequestListQuery), security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["bad_request", "not_found"]))),
    responses((status = 200, content((RequestListPage = "application/json", example = json!({
        "items": [{
            "id": "0199aa00-0000-7000-8000-00000000000f", "started_at": "2026-11-20T08:03:52.000120Z", "count": null, "kind": "llm",
            "key": {"id": "0199aa00-0000-7000-8000-000000000001", "label": "laptop", "prefix": "tollgate", "last4": "9f3c"},
            "route": "/v1/chat/completions", "format": "chat", "model": "fast", "provider": "openai", "answered_model": "gpt-5-mini-2025-08-07", "program": "codex", "streamed": true,
            "status": 200, "result": "succeeded", "outcome": "completed", "refusal": null, "credits": 1, "attempt_count": 1,
            "tokens": {"input": 900, "cached_input": 100, "cache_write": 0, "output": 400, "reasoning": 50, "total": 1450},
            "cost": {"amount_nano": 1234000, "currency": "USD"}, "unpriced": false, "unknown_reason": null,
            "charged": {"tokens": 1450, "cost": {"amount_nano": 1234000, "currency": "USD"}},
            "phases": {"first_byte_ms": 312.5, "upstream_ms": 2210.043, "total_ms": 2210.4},
            "bytes": {"request": 512, "response": 16384}
        }],
        "next": null
    })), (String = "text/csv", example = "id,started_at,user,key_id,…\r\n")))))]
pub(in crate::routes) async fn list(
    State(app): State<Arc<App>>,
    KeyReader(caller): KeyReader,
    request: Request,
) -> Result<Response, Problem> {
    let query: RequestListQuery = input::query(request.uri())?;
    let is_table = csv::is_chosen(query.format.as_deref())?;
    let limit = if is_table { csv::limit(query.limit)? } else { listing::limit(query.limit)? };
    let after = query.cursor.as_deref().map(Place::read).transpose()?;
    let (status, result) = query.status.as_deref().map(status_filter).transpose()?.unwrap_or_default();
    let since = moment::parse_query("since", query.since.as_deref())?;
    let until = moment::parse_query("until", query.until.as_deref())?;
    if let Some(since) = since
        && let Some(until) = until
        && since > until
    {
        return Err(Problem::new(Refusal::BadRequest, "`since` must not be later than `until`"));
    }
    let RequestListQuery { scope, user_id, key_id, .. } = &query;
    let selection = Selection { scope: scope.as_deref(), user_id: *user_id, key_id: *key_id };
    let scope = Scope::resolve(&app, &caller, selection).await?;
    let kind = query.kind.as_deref().map(kind_filter).transpose()?;
    let routes = routes_filter(&app, query.route.as_deref(), query.path.as_deref());
    let text = query.text.filter(|text| !text.is_empty());
    let is_valid = |text: &String| text.chars().count() <= TEXT_MAX && !text.contains(char::is_control);
    if !text.as_ref().is_none_or(is_valid) {
        let message = format!("`text` must have at most {TEXT_MAX} characters, without control characters");
        return Err(Problem::new(Refusal::BadRequest, message));
    }
    let key = scope.key_no();
    let model = query.model;
    let label = query.label.as_deref().map(labels_view::filter).transpose()?;
    let filter = RequestFilter { key, model, label, status, result, since, until, kind, routes, text };
    let after = after.map(|Place { at, id }| RequestPlace { at, id });
    let is_admin = caller.role == Role::Admin && caller.only_key().is_none();
    let item = match scope.user {
        None => RequestItem::with_user,
        Some(_) if is_admin => RequestItem::for_admin,
        Some(_) => RequestItem::from,
    };
    let cursor = |RequestPlace { at, id }: RequestPlace| Place { at, id }.cursor();
    if is_table {
        let (items, next) = rows(&app, scope.of, &filter, after, limit).await?;
        let next = next.map(|next| csv::next_address(request.uri(), &cursor(next)));
        return Ok(table::response(items.into_iter().map(item), next));
    }
    let page = app.ledger.requests_page(scope.of, &filter, after, limit).await?;
    let next = page.next.map(cursor);
    Ok(Json(RequestListPage { items: page.lines.into_iter().map(item).collect(), next }).into_response())
}

/// Reads the requests of a table page by page, at most `limit`, and the place after which more follow.
async fn rows(
    app: &App,
    of: UsageOf,
    filter: &RequestFilter,
    mut after: Option<RequestPlace>,
    limit: u32,
) -> Result<(Vec<RequestLine>, Option<RequestPlace>), Problem> {
    let mut lines = Vec::new();
    for _ in 0..csv::PAGES_MAX {
        let rest = limit - u32::try_from(lines.len()).unwrap_or(limit).min(limit);
        if rest == 0 {
            break;
        }
        let page = app.ledger.requests_page(of, filter, after, rest.min(REQUESTS_PAGE_MAX)).await?;
        lines.extend(page.lines);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok((lines, after))
}

/// Parses the kind of requests.
fn kind_filter(text: &str) -> Result<RequestKind, Problem> {
    match text {
        "llm" => Ok(RequestKind::Llm),
        "route" => Ok(RequestKind::Route),
        _ => Err(Problem::new(Refusal::BadRequest, "`kind` must be `llm` or `route`")),
    }
}

/// Returns the names of the selected routes: the route with this name, if it matches the path.
fn routes_filter(app: &App, route: Option<&str>, path: Option<&str>) -> Option<Vec<String>> {
    let named = route.map(|route| vec![route.to_owned()]);
    let Some(path) = path else { return named };
    let mut routes = app.live.load_full().routes_at(path);
    routes.retain(|name| route.is_none_or(|route| route == name));
    Some(routes)
}

/// Statuses from the first to the last, or a result.
type StatusFilter = (Option<(u16, u16)>, Option<RequestResult>);

/// Parses a filter by status: a status, a class of statuses, or the word for a result.
fn status_filter(text: &str) -> Result<StatusFilter, Problem> {
    match RequestResult::ALL.into_iter().find(|result| result.as_str() == text) {
        Some(result) => Ok((None, Some(result))),
        None => Ok((Some(statuses(text)?), None)),
    }
}

/// Parses a status filter into the first and the last status.
fn statuses(text: &str) -> Result<(u16, u16), Problem> {
    let digit = |byte: u8| u16::from(byte - b'0');
    match *text.as_bytes() {
        [class @ b'1'..=b'5', b'x', b'x'] => Ok((digit(class) * 100, digit(class) * 100 + 99)),
        [class @ b'1'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            let status = digit(class) * 100 + digit(tens) * 10 + digit(ones);
            Ok((status, status))
        }
        _ => Err(Problem::new(
            Refusal::BadRequest,
            "`status` must be a status such as 429, a class such as 4xx, or `succeeded`, `refused` or `failed`",
        )),
    }
}

/// Returns the name of a program as rules of classes have it.
fn word(program: ClientProgram) -> String {
    program.as_str().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_exact_or_a_class() {
        for (text, expected) in [("429", (429, 429)), ("4xx", (400, 499)), ("100", (100, 100)), ("599", (599, 599))] {
            assert_eq!(statuses(text).unwrap(), expected, "{text}");
        }
        for text in ["", "xx", "0xx", "6xx", "44xx", "4xxx", "4XX", "99", "600", "0429", "+429", "42x", "4 29", "٤xx"]
        {
            assert!(statuses(text).is_err(), "{text}");
        }
    }
}
