//! `POST /api/explain`: what the gateway does with a request.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use access::{KeyId, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use config::WrittenRequest;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::caller::Admin;
use crate::explanation::{ExplanationError, ExplanationQuery, ExplanationSources, LiveCounters, StatefulExplanation};
use crate::input;
use crate::problem::{NO_KEY, Problem};
use crate::state::App;

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
    /// The id of a key, with which the request is made. The response then has the state of its limits and budgets.
    #[serde(default, rename = "as")]
    key: Option<Uuid>,
    /// The IP address of the client, for limits that count addresses.
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
        "authentication": {"type": "key", "entry": null, "place": null, "require": [], "alternatives": [],
            "has_credential": false, "decides": true},
        "rate_limits": [{"name": "ip", "policy": "\"ip\";q=100;w=60", "tiers": [], "after_authentication": false,
            "place": "tollgate.yaml:8:5"}],
        "action": {"kind": "forward", "target": "/users/7", "location": null, "format": null, "upstreams": [
            {"name": "users", "weight": 1, "strategy": "round_robin", "place": "tollgate.yaml:2:5",
                "backends": [{"url": "http://127.0.0.1:9001/users/7", "weight": 1}]}]},
        "refusal": {"status": 401, "code": "unauthorized", "message": "the route needs a key"},
        "status": 401,
        "as": null,
        "limits": [{"kind": "rate_limit", "name": "ip", "limit": 100, "remaining": null, "resets_at": null,
            "reason": "the address of the client is not given", "place": "tollgate.yaml:8:5"}],
        "budgets": []
    }))))]
pub(super) async fn explain(
    State(app): State<Arc<App>>,
    _: Admin,
    request: Request,
) -> Result<Json<StatefulExplanation>, Problem> {
    let ExplainRequest { method, url, headers, key, address } = input::required(request, app.limits.body).await?;
    let fields: Vec<(String, String)> = headers.into_iter().collect();
    let request = WrittenRequest::new(&method, &url, &fields)
        .map_err(|error| Problem::new(Refusal::Unprocessable, format!("expected {error}")))?;
    let snapshot = app.live.load_full();
    let counters = app.meter.as_deref().map(|meter| LiveCounters {
        meter,
        unauthenticated: app.windows.tally(),
        nodes: app.windows.sharing_state().map(|state| state.nodes()),
    });
    let sources = ExplanationSources { store: &app.store, snapshot: &snapshot, clock: &app.clock, counters };
    let query = ExplanationQuery { request, key: key.map(KeyId), address };
    Ok(Json(StatefulExplanation::of(sources, query).await?))
}
