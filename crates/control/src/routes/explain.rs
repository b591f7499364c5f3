//! `POST /api/explain`: what the gateway does with a request.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use access::Refusal;
use axum::Json;
use axum::extract::{Request, State};
use config::WrittenRequest;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::input;
use crate::message::problem::{NO_KEY, Problem};
use crate::nouns::explanation::{
    ExplanationError, ExplanationQuery, ExplanationSources, HolderName, LiveCounters, StatefulExplanation,
};
use crate::process::state::App;
use crate::sign_in::caller::Admin;

/// The message about a value of `as` that names no client.
const NO_HOLDER: &str = "expected `as` with the id of a key, or ENTRY/NAME of a client that the configuration lists";

/// A request to explain.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"method": "GET", "url": "https://api.example.com/users/7", "headers": {"X-Tenant": "acme"}}))]
#[serde(deny_unknown_fields)]
struct ExplainRequest {
    /// The method. Default: `GET`.
    #[serde(default = "get")]
    #[schema(max_length = 64)]
    method: String,
    /// The URL, or a path for a request without a host.
    #[schema(max_length = 65_536)]
    url: String,
    /// Header fields, at most 100.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The model that the body of an LLM request names. The response then has its targets, and why a call skips one now.
    #[serde(default)]
    #[schema(max_length = 512)]
    model: Option<String>,
    /// The client that makes the request: the id of a key, or `ENTRY/NAME` of a key or a user that an entry of `auth` lists. The
    /// response then has the state of its limits, quotas and budgets.
    #[serde(default, rename = "as")]
    #[schema(max_length = 512)]
    holder: Option<String>,
    /// The IP address of the client, for limits that count addresses, and for `addresses` of keys and routes.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "ip")]
    address: Option<IpAddr>,
}

fn get() -> String {
    "GET".to_owned()
}

impl From<ExplanationError> for Problem {
    fn from(error: ExplanationError) -> Self {
        match error {
            ExplanationError::NoKey => Self::new(Refusal::NotFound, NO_KEY),
            ExplanationError::NotListed => Self::new(Refusal::NotFound, error.to_string()),
            ExplanationError::Database(error) => error.into(),
        }
    }
}

/// Explains what the running configuration does with a request.
///
/// No request is sent. Keys and tokens in header fields are not checked, and limits not counted. `limits` reports the
/// state of limits if this process also serves the proxy.
#[utoipa::path(post, path = "/api/explain", tag = "admin", request_body = ExplainRequest,
    security(("token" = []), ("cookie" = [])), extensions(("x-codes" = json!(["forbidden", "not_found", "unprocessable"]))),
    responses((status = 200, body = StatefulExplanation, example = json!({
        "request": {"method": "GET", "host": "api.example.com", "path": "/users/7", "query": null},
        "route": {"name": "users", "is_endpoint": false, "place": "tollgate.yaml:12:5",
            "because": ["the host is api.example.com", "the path matches /users/{id}"]},
        "others": [{"name": "all", "place": "tollgate.yaml:20:5",
            "because": "another route comes first in the order of precedence"}],
        "authentication": {"type": "key", "entry": null, "place": null, "require": [], "plan": null, "alternatives": [],
            "has_credential": false, "decides": true},
        "rate_limits": [{"name": "ip", "policy": "\"ip\";q=100;w=60", "tiers": [], "after_authentication": false,
            "place": "tollgate.yaml:8:5"}],
        "action": {"kind": "forward", "target": "/users/7", "location": null, "format": null,
            "strategy": null, "targets": [], "upstreams": [
            {"name": "users", "weight": 1, "strategy": "round_robin", "sources": [], "place": "tollgate.yaml:2:5",
                "backends": [{"url": "http://127.0.0.1:9001/users/7", "weight": 1}]}]},
        "refusal": {"status": 401, "code": "unauthorized", "message": "the route needs a key"},
        "status": 401,
        "as": null,
        "subject": null,
        "backends": [{"upstream": "users", "url": "http://127.0.0.1:9001", "state": "ejected", "cause": "status",
            "ends_at": "2026-11-26T08:00:30Z"}],
        "sources": [],
        "limits": [{"kind": "rate_limit", "name": "ip", "limit": 100, "remaining": null, "resets_at": null,
            "reason": "the address of the client is not given", "place": "tollgate.yaml:8:5"}],
        "budgets": [],
        "budgets_reason": "they depend on the key, which is not given"
    }))))]
pub(super) async fn explain(
    State(app): State<Arc<App>>,
    _: Admin,
    request: Request,
) -> Result<Json<StatefulExplanation>, Problem> {
    let ExplainRequest { method, url, headers, model, holder, address } =
        input::required(request, app.limits.body).await?;
    let fields: Vec<(String, String)> = headers.into_iter().collect();
    let request = WrittenRequest::new(&method, &url, &fields)
        .map_err(|error| Problem::new(Refusal::Unprocessable, format!("expected {error}")))?
        .with_model(model);
    let parsed = |text: &str| HolderName::parse(text).ok_or_else(|| Problem::new(Refusal::Unprocessable, NO_HOLDER));
    let holder = holder.as_deref().map(parsed).transpose()?;
    let snapshot = app.live.load_full();
    let counters = app.meter.as_deref().map(|meter| LiveCounters {
        meter,
        unauthenticated: app.windows.tally(),
        nodes: app.windows.sharing_state().map(|state| state.nodes()),
    });
    let store = &app.store;
    let clock = &app.clock;
    let board = &app.board;
    let sources = ExplanationSources { store, snapshot: &snapshot, clock, counters, board };
    let query = ExplanationQuery { request, holder, address };
    Ok(Json(StatefulExplanation::explain(sources, query).await?))
}
