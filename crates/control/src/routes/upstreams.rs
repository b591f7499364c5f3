//! `GET /api/upstreams`: the upstreams and providers with the state of their backends.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use config::snapshot::Origin;
use serde::Serialize;
use telemetry::{BackendStatus, FAILURE_CAUSES, FAILURE_OF_STATUS};
use utoipa::ToSchema;

use crate::message::figures::ms;
use crate::message::problem::Problem;
use crate::nouns::backend_state::BackendStateWord;
use crate::nouns::source_state::SourceView;
use crate::process::state::App;
use crate::sign_in::caller::Admin;

/// The upstreams with their backends.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpstreamList)]
pub(super) struct UpstreamListView {
    /// Whether this process serves the proxy. If not, states and counts are null: the servers of the proxy have them.
    is_live: bool,
    /// The configured upstreams in their order, then the providers that are on.
    items: Vec<UpstreamView>,
    /// Always null: the list is not paged.
    next: Option<String>,
}

/// The kind of an upstream.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = UpstreamKind)]
enum UpstreamKind {
    /// An entry of `upstreams`.
    Upstream,
    /// An LLM provider, which has one backend.
    Provider,
}

/// An upstream or a provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpstreamState)]
struct UpstreamView {
    name: String,
    kind: UpstreamKind,
    /// The choice of the backend; null for a provider.
    strategy: Option<&'static str>,
    backends: Vec<BackendView>,
    /// The sources of its [members](discovery.md); empty if only the configuration names them.
    sources: Vec<SourceView>,
}

/// A backend. Counts begin with the process that serves the proxy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backend)]
struct BackendView {
    /// The URL; of a provider, its base URL.
    url: String,
    /// The configured name whose address `url` has.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The share relative to the other backends; null for a provider.
    weight: Option<u32>,
    /// Whether the backend gets requests, and if not, why; null if this process does not serve the proxy, and for a backend
    /// of weight 0 that it has not used.
    state: Option<BackendStateWord>,
    /// The requests that use the backend now.
    in_flight: Option<u64>,
    /// The requests that were sent to the backend, retries included.
    requests: Option<u64>,
    /// The attempts that circuit breakers and ejections count: without a response, or with the status 502, 503 or 504, or
    /// the gRPC status 14.
    failures: Option<u64>,
    /// The failed attempts, as failed requests of routes are counted: without a response, or with a status of 500 to 599.
    failed: Option<u64>,
    /// The responses with a status of 500 to 599, which `failed` includes.
    server_errors: Option<u64>,
    /// The mean time until the head of a response; null without a response.
    mean_ms: Option<f64>,
    /// The median of the same times.
    p50_ms: Option<f64>,
    /// The 95th percentile of the same times.
    p95_ms: Option<f64>,
    /// How often the backend was ejected.
    ejections: Option<u64>,
    /// How often its circuit breaker opened.
    breaker_openings: Option<u64>,
    /// The health checks that succeeded.
    checks_succeeded: Option<u64>,
    /// The health checks that failed.
    checks_failed: Option<u64>,
}

/// The states of backends, by their upstreams, URLs and names.
type States = HashMap<(Arc<str>, Arc<str>, Option<Arc<str>>), BackendStatus>;

/// Lists the upstreams and providers with the state of each backend.
#[utoipa::path(get, path = "/api/upstreams", tag = "admin", security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden"]))),
    responses((status = 200, body = UpstreamListView, example = json!({
        "is_live": true,
        "items": [{"name": "users", "kind": "upstream", "strategy": "round_robin", "backends": [
            {"url": "http://10.0.0.1:9000", "weight": 1, "state": "available", "in_flight": 2, "requests": 1200,
                "failures": 3, "failed": 5, "server_errors": 4, "mean_ms": 4.75, "p50_ms": 4.25, "p95_ms": 9.5, "ejections": 0, "breaker_openings": 0, "checks_succeeded": 70,
                "checks_failed": 1},
            {"url": "http://10.0.0.2:9000", "weight": 1, "state": "unhealthy", "in_flight": 0, "requests": 640,
                "failures": 12, "failed": 12, "server_errors": 0, "mean_ms": 5.5, "p50_ms": 5.25, "p95_ms": 9.75, "ejections": 0, "breaker_openings": 0, "checks_succeeded": 40,
                "checks_failed": 31}],
            "sources": [{"upstream": "users", "source": "dns users.internal:9000", "members": 2,
                "responded_at": "2026-11-26T08:00:00Z", "age_s": 4, "error": null}]}],
        "next": null
    }))))]
pub(super) async fn list_upstreams(State(app): State<Arc<App>>, _: Admin) -> Result<Json<UpstreamListView>, Problem> {
    let live = app.live.load_full();
    let now = app.clock.now();
    let read = app.board.backends();
    let is_live = read.is_some();
    let by_key = |status: BackendStatus| ((status.upstream.clone(), status.url.clone(), status.name.clone()), status);
    let states: States = read.unwrap_or_default().into_iter().map(by_key).collect();
    let upstreams = live.traffic.upstreams.iter().map(|upstream| UpstreamView {
        name: upstream.name.to_string(),
        kind: UpstreamKind::Upstream,
        strategy: Some(upstream.strategy.name()),
        backends: upstream
            .backends()
            .iter()
            .map(|backend| BackendView::new(&upstream.name, &backend.origin, Some(backend.weight), &states))
            .collect(),
        sources: SourceView::list(upstream, now),
    });
    let providers = live.traffic.providers.iter().map(|provider| UpstreamView {
        name: provider.name.to_string(),
        kind: UpstreamKind::Provider,
        strategy: None,
        backends: vec![BackendView::new(&provider.name, &provider.origin, None, &states)],
        sources: Vec::new(),
    });
    Ok(Json(UpstreamListView { is_live, items: upstreams.chain(providers).collect(), next: None }))
}

/// Returns the number of attempts without a response: all failures except those of a status.
fn no_response(status: &BackendStatus) -> u64 {
    let causes = FAILURE_CAUSES.iter().zip(status.failures);
    causes.map(|(cause, count)| if *cause == FAILURE_OF_STATUS { 0 } else { count }).sum()
}

impl BackendView {
    fn new(upstream: &Arc<str>, origin: &Origin, weight: Option<u32>, states: &States) -> Self {
        let url = origin.to_string();
        let name = origin.name();
        let status = states.get(&(upstream.clone(), Arc::from(url.as_str()), name.map(Arc::from)));
        let count = |of: fn(&BackendStatus) -> u64| status.map(of);
        let percentile = |percent| status.and_then(|status| status.durations.percentile_us(percent)).map(ms);
        Self {
            url,
            name: name.map(str::to_owned),
            weight,
            state: status.map(|status| status.condition.into()),
            in_flight: count(|status| status.in_flight),
            requests: count(|status| status.requests),
            failures: count(|status| status.failures.iter().sum()),
            failed: count(|status| no_response(status).saturating_add(status.server_errors)),
            server_errors: count(|status| status.server_errors),
            mean_ms: status.and_then(|status| status.durations.mean_us()).map(ms),
            p50_ms: percentile(50),
            p95_ms: percentile(95),
            ejections: count(|status| status.ejections),
            breaker_openings: count(|status| status.openings),
            checks_succeeded: count(|status| status.checks_succeeded),
            checks_failed: count(|status| status.checks_failed),
        }
    }
}
