//! `GET /api/routes`: the routes of the proxy with their requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use access::{Day, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use config::{ListedRoute, is_endpoint};
use ledger::{RankedRoute, UsageOf};
use serde::{Deserialize, Serialize};
use telemetry::Metrics;
use telemetry::metrics::{LabelValue, RouteLabels};
use utoipa::{IntoParams, ToSchema};

use crate::input;
use crate::message::figures::{ResultCounts, UsageFigures, ms};
use crate::message::moment::date;
use crate::message::problem::Problem;
use crate::nouns::latency;
use crate::process::state::App;
use crate::sign_in::caller::Admin;

/// The maximum number of days.
const DAYS_MAX: u32 = 366;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RouteListQuery {
    /// The number of days whose requests are counted, including today. Default 1.
    #[param(minimum = 1, maximum = 366)]
    days: Option<u32>,
}

/// The routes with their requests.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RouteList)]
pub(super) struct RouteListView {
    /// The first day whose requests are counted.
    #[schema(format = Date)]
    since: String,
    /// The configured routes in their order, then LLM endpoints with requests, then other names with requests.
    items: Vec<RouteView>,
    /// Always null: the list is not paged.
    next: Option<String>,
}

/// The kind of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RouteKind)]
enum RouteKind {
    /// A route of the running configuration.
    Route,
    /// The built-in route of an LLM endpoint.
    Llm,
    /// A route that the running configuration does not have.
    Removed,
}

/// A route with its requests.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RouteFigures)]
struct RouteView {
    /// The name; of an LLM endpoint, its path.
    name: String,
    kind: RouteKind,
    /// The entry of the configuration; null if `kind` is not `route`.
    configuration: Option<ListedRoute>,
    /// The requests that reached an upstream, of all clients.
    #[serde(flatten)]
    used: UsageFigures,
    #[serde(flatten)]
    results: ResultCounts,
    latency: RouteLatency,
    /// The requests of this process; null if another process serves the proxy.
    live: Option<LiveCounts>,
}

/// The requests of a route that ended since the process started. A client computes rates from the differences of two readings.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[schema(as = RouteLive)]
struct LiveCounts {
    /// All requests, also those that were refused.
    requests: u64,
    /// The requests that failed, as the upstream or Tollgate could not serve them.
    failed: u64,
}

/// The durations of a route's requests, from the request's head to the end of the response.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RouteLatency)]
struct RouteLatency {
    /// The median of all requests of this process since its start; null without any, and if another process serves the proxy.
    p50_ms: Option<f64>,
    /// The 95th percentile of the same requests.
    p95_ms: Option<f64>,
    /// The mean of the counted requests that are stored one by one; null without such requests.
    mean_ms: Option<f64>,
}

/// Lists the routes in their order, with the requests of all clients, also of those without a user.
///
/// The sum over all items is the number of requests of the overview of `all`.
#[utoipa::path(get, path = "/api/routes", tag = "admin", params(RouteListQuery), security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["bad_request", "forbidden"]))),
    responses((status = 200, body = RouteListView, example = json!({
        "since": "2026-11-20",
        "items": [{"name": "orders", "kind": "route",
            "configuration": {"place": "tollgate.yaml:12:5", "host": null, "path": "/orders", "methods": ["GET"],
                "matches": ["the path begins with /orders", "the method is one of GET, HEAD"], "action": "forward",
                "upstreams": [{"name": "shop", "weight": 1}], "auth": "key", "events": "folded"},
            "requests": 3, "credits": 3,
            "tokens": {"input": 0, "cached_input": 0, "cache_write": 0, "output": 0, "reasoning": 0, "total": 0},
            "cost": {"amount_nano": 0, "currency": "USD"}, "unpriced_requests": 0,
            "succeeded": 2, "refused": 1, "errors": 1, "latency": {"p50_ms": 1.2, "p95_ms": 4.75, "mean_ms": null},
            "live": {"requests": 61, "failed": 2}}],
        "next": null
    }))))]
pub(super) async fn list_routes(
    State(app): State<Arc<App>>,
    _: Admin,
    request: Request,
) -> Result<Json<RouteListView>, Problem> {
    let RouteListQuery { days } = input::query(request.uri())?;
    let days = match days.unwrap_or(1) {
        days @ 1..=DAYS_MAX => days,
        _ => return Err(Problem::new(Refusal::BadRequest, format!("`days` must be 1 to {DAYS_MAX}"))),
    };
    let today = app.clock.now().day();
    let since = Day((today.0 + 1).saturating_sub(days));
    let totals = app.ledger.route_totals(UsageOf::All, [since, today]).await?;
    let mut totals: BTreeMap<String, RankedRoute> =
        totals.into_iter().map(|route| (route.name.clone(), route)).collect();
    let live = LiveRoutes::read(&app);
    let configured = app.live.load_full().listed_routes().into_iter().map(|(name, listed)| {
        let used = totals.remove(&*name);
        live.view(name.to_string(), Some(listed), used)
    });
    let mut items: Vec<RouteView> = configured.collect();
    let mut others: Vec<RouteView> =
        totals.into_iter().map(|(name, route)| live.view(name, None, Some(route))).collect();
    others.sort_by_key(|route| route.kind);
    items.extend(others);
    Ok(Json(RouteListView { since: date(since), items, next: None }))
}

/// What the process has measured of its routes.
struct LiveRoutes<'a> {
    metrics: &'a Metrics,
    /// The requests of each route by the value of its label; `None` if another process serves the proxy.
    counts: Option<BTreeMap<LabelValue, LiveCounts>>,
}

impl<'a> LiveRoutes<'a> {
    fn read(app: &'a App) -> Self {
        let mut counts: BTreeMap<LabelValue, LiveCounts> = BTreeMap::new();
        app.metrics.proxy.requests.for_each(|labels, count| {
            let route = counts.entry(labels.route.clone()).or_default();
            route.requests += count.get();
            route.failed += if labels.result == "failed" { count.get() } else { 0 };
        });
        Self { metrics: &app.metrics, counts: app.board.is_set().then_some(counts) }
    }

    fn view(&self, name: String, configuration: Option<ListedRoute>, route: Option<RankedRoute>) -> RouteView {
        let kind = match &configuration {
            Some(_) => RouteKind::Route,
            None if is_endpoint(&name) => RouteKind::Llm,
            None => RouteKind::Removed,
        };
        let labels = RouteLabels { route: LabelValue::from(name.as_str()) };
        let durations = latency::of_routes(self.metrics, |of| *of == labels);
        let (total, results, mean_us) =
            route.map_or_else(Default::default, |route| (route.total, route.results, route.mean_us));
        let percentile = |percent| durations.percentile_us(percent).map(ms);
        RouteView {
            kind,
            configuration,
            used: UsageFigures::from(&total),
            results: results.into(),
            latency: RouteLatency { p50_ms: percentile(50), p95_ms: percentile(95), mean_ms: mean_us.map(ms) },
            live: self.counts.as_ref().map(|routes| routes.get(&labels.route).copied().unwrap_or_default()),
            name,
        }
    }
}
