//! The endpoints by path; `docs/api.md` describes them in the same order.

mod auth;
mod health;
mod metrics;
mod usage;

use std::sync::Arc;

use access::Refusal;
use axum::Router;
use axum::routing::{get, post};

use crate::layers::{self, Observer};
use crate::problem::Problem;
use crate::state::App;

/// Every endpoint, inside of every layer.
pub(crate) fn router(app: Arc<App>) -> Router {
    let observer = Observer::new(app.metrics.clone(), app.clock.clone(), &app.brand);
    let call = app.limits.call;
    let router = Router::new()
        .route("/health", get(health::health))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .route("/api/auth/validate", post(auth::validate))
        .route("/api/usage/today", get(usage::today))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app);
    layers::around(router, Arc::new(observer), call)
}

async fn not_found() -> Problem {
    Problem::new(Refusal::NotFound, "nothing is found at this path")
}

/// axum adds `Allow`.
async fn method_not_allowed() -> Problem {
    Problem::new(Refusal::MethodNotAllowed, "this path has other methods: see the `Allow` header")
}
